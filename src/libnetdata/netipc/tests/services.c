/* Of each service what the other tests do not use: clients and servers made by its own functions, builders and
 * copies outside of handlers, batches of strings, names of values. And a host that runs on its caller's thread, and
 * the end of a session that is drained. */
#include "values.h"

#include <netipc/services.h>

static const char *run_dir;

#define CAPACITY_BYTES 4096u

/* -------------------------------------------------------------------------------------- servers, clients */

static nipc_error_t reverse(void *context, const nipc_request_context_t *who,
                            const nipc_string_reverse_request_view_t *request,
                            nipc_string_reverse_response_builder_t *response)
{
    (void)context;
    (void)who;
    char reversed[64];
    CHECK(request->bytes.len <= sizeof reversed);
    for (size_t index = 0; index < request->bytes.len; index++) {
        reversed[index] = request->bytes.ptr[request->bytes.len - 1 - index];
    }
    nipc_string_reverse_response_t answer = {{reversed, request->bytes.len}};
    return nipc_string_reverse_response_builder_set(response, &answer);
}

static nipc_error_t apps(void *context, const nipc_request_context_t *who,
                         const nipc_apps_lookup_request_view_t *request,
                         nipc_apps_lookup_response_builder_t *response)
{
    (void)context;
    (void)who;
    for (size_t index = 0; index < request->count; index++) {
        uint32_t pid;
        CHECK_OK(nipc_apps_lookup_request_view_key(request, index, &pid));
        CHECK_OK(nipc_apps_lookup_response_builder_unknown(response, pid));
    }
    return NIPC_OK;
}

static nipc_error_t cgroups(void *context, const nipc_request_context_t *who,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response)
{
    (void)context;
    (void)who;
    for (size_t index = 0; index < request->count; index++) {
        nipc_str_t path;
        CHECK_OK(nipc_cgroups_lookup_request_view_key(request, index, &path));
        CHECK_OK(nipc_cgroups_lookup_response_builder_unknown_permanent(response, path));
    }
    return NIPC_OK;
}

static nipc_error_t networks(void *context, const nipc_request_context_t *who,
                             const nipc_ip_to_asn_request_view_t *request,
                             nipc_ip_to_asn_response_builder_t *response)
{
    (void)context;
    (void)who;
    for (size_t index = 0; index < request->count; index++) {
        nipc_str_t ip;
        CHECK_OK(nipc_ip_to_asn_request_view_key(request, index, &ip));
        CHECK_OK(nipc_ip_to_asn_response_builder_unknown(response, ip));
    }
    CHECK(!nipc_ip_to_asn_response_builder_is_full(response));
    return NIPC_OK;
}

static nipc_error_t snapshot(void *context, const nipc_request_context_t *who,
                             nipc_cgroups_snapshot_response_builder_t *response)
{
    (void)context;
    (void)who;
    return nipc_cgroups_snapshot_response_builder_generation(response, 4);
}

static void refresh(nipc_client_ctx_t *client)
{
    bool changed;
    CHECK_OK(nipc_client_refresh(client, &changed));
    CHECK(changed && nipc_client_ready(client));
}

static void strings_alone_in_batches_and_as_copies(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_string_reverse_server_init(&server, run_dir, NULL, 1, reverse, NULL));
    CHECK_OK(nipc_server_start(&server));
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_string_reverse_client_init(&client, run_dir, NIPC_STRING_REVERSE_SERVICE, NULL));
    refresh(&client);

    nipc_string_reverse_request_t requests[] = {{nipc_str("abc")}, {nipc_str("")}, {nipc_str("xy")}};
    nipc_string_reverse_batch_view_t answers;
    CHECK_OK(nipc_string_reverse_batch(&client, requests, 3, &answers));
    CHECK_NUMBER(3, answers.count);
    const char *const backwards[] = {"cba", "", "yx"};
    nipc_string_reverse_response_view_t view;
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_string_reverse_batch_view_get(&answers, index, &view));
        CHECK_TEXT(nipc_str(backwards[index]), view.bytes);
    }
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_string_reverse_batch_view_get(&answers, 3, &view));

    /* What was answered may be asked for. */
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_string_reverse_batch_view_get(&answers, 2 - index, &view));
        requests[index].bytes = view.bytes;
    }
    CHECK_OK(nipc_string_reverse_batch(&client, requests, 3, &answers));
    const char *const forwards[] = {"xy", "", "abc"};
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_string_reverse_batch_view_get(&answers, index, &view));
        CHECK_TEXT(nipc_str(forwards[index]), view.bytes);
    }
    requests[0].bytes = view.bytes;
    CHECK_OK(nipc_string_reverse_call(&client, requests, &view));
    CHECK_TEXT(nipc_str("cba"), view.bytes);

    nipc_string_reverse_response_copy_t copy = {0};
    CHECK_OK(nipc_string_reverse_response_copy(&view, &copy));
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_string_reverse_response_copy_view(&copy, &view));
    CHECK_TEXT(nipc_str("cba"), view.bytes);
    CHECK_OK(nipc_string_reverse_response_copy_free(&copy));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_string_reverse_response_copy_free(&copy));
    CHECK_OK(nipc_server_destroy(&server));
}

#define MOST_KEYS 64u

/* What was answered may be asked for: it stays as it is until the call is over. The other way round, for then it is
 * seen where it does not, and twice, for then the answer needs more memory. */
static void check_keys_of_the_last_answer(nipc_client_ctx_t *client, nipc_cgroups_lookup_answer_view_t *groups)
{
    nipc_str_t keys[MOST_KEYS];
    nipc_cgroups_lookup_item_view_t item;
    for (size_t count = groups->count; 2 * count <= MOST_KEYS; count = groups->count) {
        for (size_t index = 0; index < count; index++) {
            CHECK_OK(nipc_cgroups_lookup_answer_view_item(groups, index, &item));
            keys[count - 1 - index] = keys[2 * count - 1 - index] = item.path;
        }
        CHECK_OK(nipc_cgroups_lookup_call(client, keys, 2 * count, groups));
        CHECK_NUMBER(2 * count, groups->count);
    }
}

static void lookups_by_their_own_functions(void)
{
    nipc_managed_server_t servers[3] = {NIPC_SERVER_INIT, NIPC_SERVER_INIT, NIPC_SERVER_INIT};
    CHECK_OK(nipc_apps_lookup_server_init(&servers[0], run_dir, NULL, 1, apps, NULL));
    CHECK_OK(nipc_cgroups_lookup_server_init(&servers[1], run_dir, NULL, 1, cgroups, NULL));
    CHECK_OK(nipc_ip_to_asn_server_init(&servers[2], run_dir, NULL, 1, networks, NULL));
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_server_start(&servers[index]));
    }

    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_apps_lookup_client_init(&client, run_dir, NIPC_APPS_LOOKUP_SERVICE, NULL));
    refresh(&client);
    const uint32_t pids[] = {7, 8};
    nipc_apps_lookup_answer_view_t processes;
    CHECK_OK(nipc_apps_lookup_call(&client, pids, 2, &processes));
    nipc_apps_lookup_item_view_t process;
    CHECK_OK(nipc_apps_lookup_answer_view_item(&processes, 1, &process));
    CHECK(process.pid == 8 && process.status == NIPC_APPS_LOOKUP_STATUS_UNKNOWN);
    CHECK_OK(nipc_client_close(&client));

    CHECK_OK(nipc_cgroups_lookup_client_init(&client, run_dir, NIPC_CGROUPS_LOOKUP_SERVICE, NULL));
    refresh(&client);
    const nipc_str_t paths[] = {nipc_str("/a"), nipc_str("/b")};
    nipc_cgroups_lookup_answer_view_t groups;
    CHECK_OK(nipc_cgroups_lookup_call(&client, paths, 2, &groups));
    check_keys_of_the_last_answer(&client, &groups);
    CHECK_OK(nipc_cgroups_lookup_call(&client, paths, 2, &groups));
    nipc_cgroups_lookup_response_copy_t groups_copy = {0};
    CHECK_OK(nipc_cgroups_lookup_answer_copy(&groups, &groups_copy));
    CHECK_OK(nipc_client_close(&client));
    nipc_cgroups_lookup_response_view_t groups_kept;
    CHECK_OK(nipc_cgroups_lookup_response_copy_view(&groups_copy, &groups_kept));
    nipc_cgroups_lookup_item_view_t group;
    CHECK_OK(nipc_cgroups_lookup_response_view_item(&groups_kept, 1, &group));
    CHECK_TEXT(nipc_str("/b"), group.path);
    CHECK_OK(nipc_cgroups_lookup_response_copy_free(&groups_copy));

    CHECK_OK(nipc_ip_to_asn_client_init(&client, run_dir, NIPC_IP_TO_ASN_SERVICE, NULL));
    refresh(&client);
    const nipc_str_t addresses[] = {nipc_str("10.0.0.1"), nipc_str("::1")};
    nipc_ip_to_asn_answer_view_t answer;
    CHECK_OK(nipc_ip_to_asn_call(&client, addresses, 2, &answer));
    nipc_ip_to_asn_response_copy_t copy = {0};
    CHECK_OK(nipc_ip_to_asn_answer_copy(&answer, &copy));
    CHECK_OK(nipc_client_close(&client));
    nipc_ip_to_asn_response_view_t kept;
    CHECK_OK(nipc_ip_to_asn_response_copy_view(&copy, &kept));
    nipc_ip_to_asn_item_view_t item;
    CHECK_OK(nipc_ip_to_asn_response_view_item(&kept, 0, &item));
    CHECK(item.status == NIPC_IP_TO_ASN_STATUS_UNKNOWN);
    CHECK_TEXT(nipc_str("10.0.0.1"), item.ip);
    CHECK_OK(nipc_ip_to_asn_response_copy_free(&copy));
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_server_destroy(&servers[index]));
    }
}

/* ----------------------------------------------------------------------------- builders outside of handlers */

static void responses_are_built_outside_of_handlers(void)
{
    char request[CAPACITY_BYTES], response[CAPACITY_BYTES];
    size_t len;
    nipc_ip_to_asn_request_builder_t addresses;
    CHECK_OK(nipc_ip_to_asn_request_builder_init(&addresses, request, sizeof request, 2));
    CHECK_OK(nipc_ip_to_asn_request_builder_push(&addresses, nipc_str("10.0.0.1")));
    CHECK_OK(nipc_ip_to_asn_request_builder_push(&addresses, nipc_str("::1")));
    CHECK_OK(nipc_ip_to_asn_request_builder_finish(&addresses, &len));
    nipc_ip_to_asn_request_view_t asked;
    CHECK_OK(nipc_ip_to_asn_request_decode(request, len, &asked));
    nipc_ip_to_asn_response_builder_t answers = {0};
    CHECK(!nipc_ip_to_asn_response_builder_is_full(&answers));
    CHECK_OK(nipc_ip_to_asn_response_builder_init(&answers, &asked, response, sizeof response, true));
    CHECK_OK(nipc_ip_to_asn_response_builder_generation(&answers, 5));
    CHECK_OK(nipc_ip_to_asn_response_builder_unknown(&answers, nipc_str("10.0.0.1")));
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_ip_to_asn_response_builder_unknown(&answers, nipc_str("::2")));
    CHECK(!nipc_ip_to_asn_response_builder_is_full(&answers));
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_ip_to_asn_response_builder_finish(&answers, &len));

    nipc_cgroups_lookup_request_builder_t paths;
    CHECK_OK(nipc_cgroups_lookup_request_builder_init(&paths, request, sizeof request, 1));
    CHECK_OK(nipc_cgroups_lookup_request_builder_push(&paths, nipc_str("/a")));
    CHECK_OK(nipc_cgroups_lookup_request_builder_finish(&paths, &len));
    nipc_cgroups_lookup_request_view_t wanted;
    CHECK_OK(nipc_cgroups_lookup_request_decode(request, len, &wanted));
    nipc_cgroups_lookup_response_builder_t groups;
    CHECK_OK(nipc_cgroups_lookup_response_builder_init(&groups, &wanted, response, sizeof response, true));
    CHECK_OK(nipc_cgroups_lookup_response_builder_generation(&groups, 6));
    CHECK_OK(nipc_cgroups_lookup_response_builder_unknown_permanent(&groups, nipc_str("/a")));
    CHECK(!nipc_cgroups_lookup_response_builder_is_full(&groups));
    CHECK_OK(nipc_cgroups_lookup_response_builder_finish(&groups, &len));
    nipc_cgroups_lookup_response_view_t view;
    CHECK_OK(nipc_cgroups_lookup_response_decode(response, len, &view));
    CHECK(view.generation == 6 && view.count == 1);

    /* Full is what a builder is, and nothing that one was, or that was never written. */
    CHECK_OK(nipc_cgroups_lookup_request_builder_init(&paths, request, sizeof request, 2));
    CHECK_OK(nipc_cgroups_lookup_request_builder_push(&paths, nipc_str("/a")));
    CHECK_OK(nipc_cgroups_lookup_request_builder_push(&paths, nipc_str("/b")));
    CHECK_OK(nipc_cgroups_lookup_request_builder_finish(&paths, &len));
    CHECK_OK(nipc_cgroups_lookup_request_decode(request, len, &wanted));
    char name[CAPACITY_BYTES];
    memset(name, 'x', sizeof name);
    nipc_cgroups_lookup_item_t group = NIPC_CGROUPS_LOOKUP_ITEM_INIT;
    group.path = nipc_str("/b");
    group.name.ptr = name, group.name.len = sizeof name;
    CHECK_OK(nipc_cgroups_lookup_response_builder_init(&groups, &wanted, response, sizeof response, true));
    CHECK_OK(nipc_cgroups_lookup_response_builder_unknown_permanent(&groups, nipc_str("/a")));
    CHECK_OK(nipc_cgroups_lookup_response_builder_known(&groups, &group));
    CHECK(nipc_cgroups_lookup_response_builder_is_full(&groups));
    CHECK_OK(nipc_cgroups_lookup_response_builder_finish(&groups, &len));
    CHECK(!nipc_cgroups_lookup_response_builder_is_full(&groups));
    memset(&groups, 0xA5, sizeof groups);
    CHECK(!nipc_cgroups_lookup_response_builder_is_full(&groups));
}

/* --------------------------------------------------------------------------------------------- names, hosts */

static void values_have_the_names_of_the_schema(void)
{
    CHECK(strcmp(nipc_apps_lookup_status_name(NIPC_APPS_LOOKUP_STATUS_KNOWN), "known") == 0);
    CHECK(strcmp(nipc_apps_lookup_orchestrator_name(NIPC_APPS_LOOKUP_ORCHESTRATOR_DOCKER), "docker") == 0);
    CHECK(strcmp(nipc_apps_lookup_cgroup_status_name(NIPC_APPS_LOOKUP_CGROUP_STATUS_HOST_ROOT), "host-root") == 0);
    CHECK(strcmp(nipc_cgroups_lookup_orchestrator_name(NIPC_CGROUPS_LOOKUP_ORCHESTRATOR_PODMAN), "podman") == 0);
    CHECK(strcmp(nipc_ip_to_asn_status_name(NIPC_IP_TO_ASN_STATUS_UNKNOWN), "unknown") == 0);
    const uint16_t nameless = 999;
    CHECK(nipc_apps_lookup_status_name(nameless) == NULL && nipc_apps_lookup_orchestrator_name(nameless) == NULL);
    CHECK(nipc_apps_lookup_cgroup_status_name(nameless) == NULL && nipc_ip_to_asn_status_name(nameless) == NULL);
    CHECK(nipc_cgroups_lookup_orchestrator_name(nameless) == NULL);
}

/* What the views of a schema of one's own are read by: those of the services have numbers of some kinds only. */
static void numbers_are_read_wherever_they_lie(void)
{
    const uint8_t u8 = UINT8_MAX;
    const int32_t i32 = INT32_MIN + 1;
    const int64_t i64 = INT64_MIN + 1;
    unsigned char record[1 + sizeof u8 + sizeof i32 + sizeof i64] = {0};
    memcpy(record + 1, &u8, sizeof u8);
    memcpy(record + 2, &i32, sizeof i32);
    memcpy(record + 6, &i64, sizeof i64);
    CHECK(nipc_read_u8(record + 1) == u8);
    CHECK(nipc_read_i32(record + 2) == i32);
    CHECK(nipc_read_i64(record + 6) == i64);
}

static void *run_host(void *host)
{
    CHECK_OK(nipc_host_run((nipc_host_t *)host));
    return NULL;
}

static void a_host_runs_on_the_thread_of_its_caller_until_it_is_stopped(void)
{
    nipc_host_t host = NIPC_HOST_INIT;
    CHECK_OK(nipc_host_init(&host, 1));
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL,
                           nipc_cgroups_snapshot_handler(snapshot, NULL)));
    pthread_t runner = start_thread(run_host, &host);
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_cgroups_snapshot_client_init(&client, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL));
    /* The name is taken already: who comes early waits until the host runs. */
    refresh(&client);
    nipc_cgroups_snapshot_response_view_t view;
    CHECK_OK(nipc_cgroups_snapshot_call(&client, &view));
    CHECK_NUMBER(4, view.generation);
    CHECK_OK(nipc_host_stop(&host));
    CHECK(pthread_join(runner, NULL) == 0);
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_host_destroy(&host));
}

static void *connect_to_listener(void *session)
{
    CHECK_OK(nipc_session_connect((nipc_session_t *)session, run_dir, NIPC_INCREMENT_SERVICE, NULL, SOON_MS,
                                  NULL));
    return NULL;
}

static void a_session_is_drained_until_its_peer_leaves_and_works_again_after_an_abort(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
    pthread_t connecting = start_thread(connect_to_listener, &client);
    CHECK_OK(nipc_listener_accept(&listener, SOON_MS, &server));
    CHECK(pthread_join(connecting, NULL) == 0);

    nipc_message_view_t message;
    CHECK_OK(nipc_session_abort(&server));
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_session_receive(&server, SOON_MS, &message));
    CHECK_OK(nipc_session_abort_clear(&server));
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_receive(&server, 0, &message));

    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_drain(&server, 1));
    CHECK_OK(nipc_session_close(&client));
    CHECK_OK(nipc_session_drain(&server, SOON_MS));
    CHECK_OK(nipc_session_close(&server));
    CHECK_OK(nipc_listener_close(&listener));
}

int main(void)
{
    run_dir = make_run_dir();
    strings_alone_in_batches_and_as_copies();
    lookups_by_their_own_functions();
    responses_are_built_outside_of_handlers();
    values_have_the_names_of_the_schema();
    numbers_are_read_wherever_they_lie();
    a_host_runs_on_the_thread_of_its_caller_until_it_is_stopped();
    a_session_is_drained_until_its_peer_leaves_and_works_again_after_an_abort();
    const char *const services[] = {NIPC_INCREMENT_SERVICE,        NIPC_STRING_REVERSE_SERVICE,
                                    NIPC_APPS_LOOKUP_SERVICE,      NIPC_CGROUPS_LOOKUP_SERVICE,
                                    NIPC_CGROUPS_SNAPSHOT_SERVICE, NIPC_IP_TO_ASN_SERVICE, NULL};
    remove_run_dir(run_dir, services);
    puts("what each service has of its own works");
    return 0;
}
