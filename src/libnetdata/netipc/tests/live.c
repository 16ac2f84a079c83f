/* Every service in C, live, over every transport: calls, batches, lookups that are split, snapshots, copies
 * that outlast the client, calls on the wrong client, what the schema forbids. */
#include "values.h"

#include <netipc/services.h>

/* Small enough that lookups are split many times. */
#define SMALL_RESPONSE_BYTES 4096u
#define LOOKUP_KEYS 5000u
#define BATCH_ITEMS 300u

static const char *run_dir;

/* ------------------------------------------------------------------------------------------- handlers */

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    CHECK(context == &run_dir && who->peer_pid == (uint32_t)getpid());
    nipc_increment_response_t answer = NIPC_INCREMENT_RESPONSE_INIT;
    answer.value = request->value + 1;
    return nipc_increment_response_builder_set(response, &answer);
}

static nipc_error_t reverse(void *context, const nipc_request_context_t *who,
                            const nipc_string_reverse_request_view_t *request,
                            nipc_string_reverse_response_builder_t *response)
{
    (void)context;
    (void)who;
    char reversed[1024];
    if (request->bytes.len > sizeof(reversed)) {
        return NIPC_ERR_CALLER;
    }
    for (size_t index = 0; index < request->bytes.len; index++) {
        reversed[index] = request->bytes.ptr[request->bytes.len - 1 - index];
    }
    nipc_string_reverse_response_t answer = {{reversed, request->bytes.len}};
    return nipc_string_reverse_response_builder_set(response, &answer);
}

/* Even pids are known. */
static nipc_error_t apps(void *context, const nipc_request_context_t *who,
                         const nipc_apps_lookup_request_view_t *request,
                         nipc_apps_lookup_response_builder_t *response)
{
    (void)context;
    (void)who;
    CHECK_OK(nipc_apps_lookup_response_builder_generation(response, 7));
    nipc_label_t labels[] = {{nipc_str("image"), nipc_str("nginx")}, {nipc_str("empty"), nipc_str("")}};
    for (size_t index = 0; index < request->count; index++) {
        uint32_t pid;
        CHECK_OK(nipc_apps_lookup_request_view_key(request, index, &pid));
        if (pid % 2 != 0) {
            CHECK_OK(nipc_apps_lookup_response_builder_unknown(response, pid));
            continue;
        }
        char comm[16];
        snprintf(comm, sizeof(comm), "task-%u", pid);
        nipc_apps_lookup_item_t item = NIPC_APPS_LOOKUP_ITEM_INIT;
        item.pid = pid;
        item.ppid = pid / 2;
        item.comm = nipc_str(comm);
        item.cgroup_status = NIPC_APPS_LOOKUP_CGROUP_STATUS_KNOWN;
        item.orchestrator = NIPC_APPS_LOOKUP_ORCHESTRATOR_DOCKER;
        item.cgroup_path = nipc_str("/docker");
        item.labels = labels;
        item.label_count = 2;
        CHECK_OK(nipc_apps_lookup_response_builder_known(response, &item));
        if (nipc_apps_lookup_response_builder_is_full(response)) {
            break;
        }
    }
    return NIPC_OK;
}

static nipc_error_t cgroups(void *context, const nipc_request_context_t *who,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response)
{
    (void)context;
    (void)who;
    CHECK_OK(nipc_cgroups_lookup_response_builder_generation(response, 8));
    for (size_t index = 0; index < request->count; index++) {
        nipc_str_t path;
        CHECK_OK(nipc_cgroups_lookup_request_view_key(request, index, &path));
        if (path.len > 4) {
            nipc_cgroups_lookup_item_t item = NIPC_CGROUPS_LOOKUP_ITEM_INIT;
            item.path = path;
            item.name = nipc_str("named");
            CHECK_OK(nipc_cgroups_lookup_response_builder_known(response, &item));
        } else if (path.len > 2) {
            CHECK_OK(nipc_cgroups_lookup_response_builder_unknown_permanent(response, path));
        } else {
            CHECK_OK(nipc_cgroups_lookup_response_builder_unknown_retry_later(response, path));
        }
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
        nipc_ip_to_asn_item_t item = NIPC_IP_TO_ASN_ITEM_INIT;
        CHECK_OK(nipc_ip_to_asn_request_view_key(request, index, &item.ip));
        item.asn = (uint32_t)index;
        item.as_name = nipc_str("EXAMPLE");
        item.country = nipc_str("DE");
        CHECK_OK(nipc_ip_to_asn_response_builder_known(response, &item));
    }
    return NIPC_OK;
}

static nipc_error_t snapshot(void *context, const nipc_request_context_t *who,
                             nipc_cgroups_snapshot_response_builder_t *response)
{
    (void)context;
    (void)who;
    CHECK_OK(nipc_cgroups_snapshot_response_builder_generation(response, 9));
    CHECK_OK(nipc_cgroups_snapshot_response_builder_systemd_enabled(response, 1));
    for (uint32_t hash = 0; hash < 3; hash++) {
        nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
        item.hash = hash;
        item.name = nipc_str("a group");
        item.path = nipc_str("/group");
        CHECK_OK(nipc_cgroups_snapshot_response_builder_item(response, &item));
    }
    size_t len;
    CHECK_ERROR(NIPC_ERR_CALLER, nipc_cgroups_snapshot_response_builder_finish(response, &len));
    return NIPC_OK;
}

static const char *const SERVICES[] = {NIPC_INCREMENT_SERVICE,        NIPC_STRING_REVERSE_SERVICE,
                                       NIPC_APPS_LOOKUP_SERVICE,      NIPC_CGROUPS_LOOKUP_SERVICE,
                                       NIPC_CGROUPS_SNAPSHOT_SERVICE, NIPC_IP_TO_ASN_SERVICE, NULL};

static void start(nipc_host_t *host, uint32_t profiles)
{
    nipc_server_config_t config = NIPC_SERVER_CONFIG_INIT;
    config.supported_profiles = profiles;
    config.preferred_profiles = profiles;
    nipc_server_config_t small = config;
    small.max_response_payload_bytes = SMALL_RESPONSE_BYTES;
    CHECK_OK(nipc_host_init(host, 2));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_INCREMENT_SERVICE, &config,
                           nipc_increment_handler(increment, &run_dir)));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_STRING_REVERSE_SERVICE, &config,
                           nipc_string_reverse_handler(reverse, NULL)));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_APPS_LOOKUP_SERVICE, &small,
                           nipc_apps_lookup_handler(apps, NULL)));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_CGROUPS_LOOKUP_SERVICE, &config,
                           nipc_cgroups_lookup_handler(cgroups, NULL)));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, &config,
                           nipc_cgroups_snapshot_handler(snapshot, NULL)));
    CHECK_OK(nipc_host_add(host, run_dir, NIPC_IP_TO_ASN_SERVICE, &config,
                           nipc_ip_to_asn_handler(networks, NULL)));
    CHECK_OK(nipc_host_start(host));
}

/* -------------------------------------------------------------------------------------------- clients */

static nipc_client_config_t profiles_of(uint32_t profiles)
{
    nipc_client_config_t config = NIPC_CLIENT_CONFIG_INIT;
    config.supported_profiles = profiles;
    config.preferred_profiles = profiles;
    return config;
}

/* A client by its service's name, connected over that transport. */
static nipc_client_ctx_t ready_client(const char *service, uint32_t profiles)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_client_config_t config = profiles_of(profiles);
    CHECK_OK(nipc_client_init(&client, run_dir, service, &config));
    bool changed = false;
    CHECK_OK(nipc_client_refresh(&client, &changed));
    CHECK(changed && nipc_client_ready(&client));
    nipc_client_status_t status;
    CHECK_OK(nipc_client_status(&client, &status));
    CHECK(status.terms.profile & profiles);
    return client;
}

static void call_increment(uint32_t profiles)
{
    nipc_client_ctx_t client = ready_client(NIPC_INCREMENT_SERVICE, profiles);
    nipc_increment_request_t request = NIPC_INCREMENT_REQUEST_INIT;
    nipc_increment_response_view_t response;
    request.value = UINT64_MAX;
    CHECK_OK(nipc_increment_call(&client, &request, &response));
    CHECK_NUMBER(0, response.value);

    nipc_increment_response_copy_t copy = {0, NULL};
    CHECK_OK(nipc_increment_response_copy(&response, &copy));

    nipc_increment_request_t requests[BATCH_ITEMS];
    for (uint64_t index = 0; index < BATCH_ITEMS; index++) {
        requests[index].value = index * index;
    }
    nipc_increment_batch_view_t answers;
    CHECK_OK(nipc_increment_batch(&client, requests, BATCH_ITEMS, &answers));
    CHECK_NUMBER(BATCH_ITEMS, answers.count);
    for (uint64_t index = 0; index < BATCH_ITEMS; index++) {
        CHECK_OK(nipc_increment_batch_view_get(&answers, index, &response));
        CHECK_NUMBER(index * index + 1, response.value);
    }
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_increment_batch_view_get(&answers, BATCH_ITEMS, &response));

    nipc_string_reverse_request_t reverse_request = NIPC_STRING_REVERSE_REQUEST_INIT;
    nipc_string_reverse_response_view_t reversed;
    CHECK_ERROR(NIPC_ERR_WRONG_SERVICE, nipc_string_reverse_call(&client, &reverse_request, &reversed));
    CHECK_OK(nipc_client_close(&client));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_increment_call(&client, &request, &response));

    CHECK_OK(nipc_increment_response_copy_view(&copy, &response)); /* outlasts the client */
    CHECK_NUMBER(0, response.value);
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_increment_response_copy(&response, &copy));
    CHECK_OK(nipc_increment_response_copy_free(&copy));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_increment_response_copy_free(&copy));
}

static void call_string_reverse(uint32_t profiles)
{
    nipc_client_ctx_t client = ready_client(NIPC_STRING_REVERSE_SERVICE, profiles);
    nipc_string_reverse_request_t request = NIPC_STRING_REVERSE_REQUEST_INIT;
    nipc_string_reverse_response_view_t response;
    request.bytes.ptr = "ab\0c";
    request.bytes.len = 4;
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    nipc_str_t reversed = {"c\0ba", 4};
    CHECK_TEXT(reversed, response.bytes);
    request.bytes.ptr = NULL;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_string_reverse_call(&client, &request, &response));
    request.bytes.len = 0;
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    CHECK_TEXT(nipc_str(""), response.bytes);
    char *huge = (char *)malloc(2048);
    CHECK(huge != NULL);
    memset(huge, 'x', 2048);
    request.bytes.ptr = huge;
    request.bytes.len = 2048;
    CHECK_ERROR(NIPC_ERR_STATUS, nipc_string_reverse_call(&client, &request, &response)); /* its handler fails */
    free(huge);
    CHECK_OK(nipc_client_close(&client));
}

static void check_app(const nipc_apps_lookup_item_view_t *item, uint32_t pid)
{
    CHECK_NUMBER(pid, item->pid);
    if (pid % 2 != 0) {
        CHECK_NUMBER(NIPC_APPS_LOOKUP_STATUS_UNKNOWN, item->status);
        CHECK_NUMBER(UINT32_MAX, item->uid);
        return;
    }
    char comm[16];
    snprintf(comm, sizeof(comm), "task-%u", pid);
    nipc_label_t label;
    CHECK_NUMBER(NIPC_APPS_LOOKUP_STATUS_KNOWN, item->status);
    CHECK_NUMBER(pid / 2, item->ppid);
    CHECK_TEXT(nipc_str(comm), item->comm);
    CHECK_TEXT(nipc_str("/docker"), item->cgroup_path);
    CHECK_NUMBER(2, item->labels.count);
    CHECK_OK(nipc_labels_view_get(&item->labels, 0, &label));
    CHECK_TEXT(nipc_str("nginx"), label.value);
}

static void look_up_apps(uint32_t profiles)
{
    nipc_client_ctx_t client = ready_client(NIPC_APPS_LOOKUP_SERVICE, profiles);
    static uint32_t pids[LOOKUP_KEYS];
    for (uint32_t index = 0; index < LOOKUP_KEYS; index++) {
        pids[index] = index * 7 % 9973;
    }
    nipc_apps_lookup_answer_view_t answer;
    nipc_apps_lookup_item_view_t item;
    CHECK_OK(nipc_apps_lookup_call(&client, pids, LOOKUP_KEYS, &answer));
    CHECK_NUMBER(LOOKUP_KEYS, answer.count);
    CHECK_NUMBER(7, answer.generation);
    for (uint32_t index = 0; index < LOOKUP_KEYS; index++) {
        CHECK_OK(nipc_apps_lookup_answer_view_item(&answer, index, &item));
        check_app(&item, pids[index]);
    }
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_apps_lookup_answer_view_item(&answer, LOOKUP_KEYS, &item));
    nipc_client_status_t status;
    CHECK_OK(nipc_client_status(&client, &status));
    CHECK(status.counters.sub_calls > 10);

    nipc_apps_lookup_response_copy_t copy = {0, NULL};
    CHECK_OK(nipc_apps_lookup_answer_copy(&answer, &copy));
    CHECK_OK(nipc_apps_lookup_call(&client, NULL, 0, &answer));
    CHECK_NUMBER(0, answer.count);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_apps_lookup_call(&client, NULL, 1, &answer));
    CHECK_OK(nipc_client_close(&client));

    nipc_apps_lookup_response_view_t kept;
    CHECK_OK(nipc_apps_lookup_response_copy_view(&copy, &kept));
    CHECK_NUMBER(7, kept.generation);
    CHECK_NUMBER(LOOKUP_KEYS, kept.count);
    for (uint32_t index = 0; index < LOOKUP_KEYS; index++) {
        CHECK_OK(nipc_apps_lookup_response_view_item(&kept, index, &item));
        check_app(&item, pids[index]);
    }
    CHECK_OK(nipc_apps_lookup_response_copy_free(&copy));
}

static void look_up_cgroups(uint32_t profiles)
{
    nipc_client_ctx_t client = ready_client(NIPC_CGROUPS_LOOKUP_SERVICE, profiles);
    nipc_str_t paths[] = {nipc_str("/long/path"), nipc_str("/ab"), nipc_str("/a"), {NULL, 3}, {NULL, 0}};
    nipc_cgroups_lookup_answer_view_t answer;
    nipc_cgroups_lookup_item_view_t item;
    CHECK_OK(nipc_cgroups_lookup_call(&client, paths, 3, &answer));
    CHECK_NUMBER(8, answer.generation);
    const nipc_cgroups_lookup_status_t statuses[] = {NIPC_CGROUPS_LOOKUP_STATUS_KNOWN,
                                                     NIPC_CGROUPS_LOOKUP_STATUS_UNKNOWN_PERMANENT,
                                                     NIPC_CGROUPS_LOOKUP_STATUS_UNKNOWN_RETRY_LATER};
    for (size_t index = 0; index < 3; index++) {
        CHECK_OK(nipc_cgroups_lookup_answer_view_item(&answer, index, &item));
        CHECK_NUMBER(statuses[index], item.status);
        CHECK_TEXT(paths[index], item.path);
    }
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_cgroups_lookup_call(&client, paths, 4, &answer));
    paths[3] = paths[4]; /* an empty path, which the schema forbids */
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_cgroups_lookup_call(&client, paths, 4, &answer));
    CHECK_OK(nipc_cgroups_lookup_call(&client, paths, 3, &answer));
    CHECK(strcmp(nipc_cgroups_lookup_status_name(statuses[1]), "unknown-permanent") == 0);
    CHECK(nipc_cgroups_lookup_status_name(999) == NULL);
    CHECK_OK(nipc_client_close(&client));
}

static void look_up_networks(uint32_t profiles)
{
    /* A service's own init takes any endpoint. */
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_client_config_t config = profiles_of(profiles);
    CHECK_OK(nipc_ip_to_asn_client_init(&client, run_dir, NIPC_IP_TO_ASN_SERVICE, &config));
    nipc_str_t ip = nipc_str("192.0.2.1");
    nipc_ip_to_asn_answer_view_t answer;
    nipc_ip_to_asn_item_view_t item;
    CHECK_ERROR(NIPC_ERR_NOT_READY, nipc_ip_to_asn_call(&client, &ip, 1, &answer));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    CHECK_OK(nipc_ip_to_asn_call(&client, &ip, 1, &answer));
    CHECK_OK(nipc_ip_to_asn_answer_view_item(&answer, 0, &item));
    CHECK_TEXT(ip, item.ip);
    CHECK_TEXT(nipc_str("DE"), item.country);
    CHECK_OK(nipc_client_close(&client));
}

static void fetch_snapshot(uint32_t profiles)
{
    nipc_client_ctx_t client = ready_client(NIPC_CGROUPS_SNAPSHOT_SERVICE, profiles);
    nipc_cgroups_snapshot_response_view_t response;
    nipc_cgroups_snapshot_item_view_t item;
    CHECK_OK(nipc_cgroups_snapshot_call(&client, &response));
    CHECK_NUMBER(3, response.count);
    CHECK_NUMBER(9, response.generation);
    CHECK_NUMBER(1, response.systemd_enabled);
    CHECK_OK(nipc_cgroups_snapshot_response_view_item(&response, 2, &item));
    CHECK_NUMBER(2, item.hash);
    CHECK_TEXT(nipc_str("/group"), item.path);
    CHECK_OK(nipc_client_close(&client));
}

/* Views and builders that were never filled in, and numbers that the schema does not know. */
static void what_the_schema_forbids_is_refused(void)
{
    nipc_apps_lookup_answer_view_t answer;
    nipc_apps_lookup_response_builder_t builder;
    nipc_apps_lookup_item_view_t view;
    nipc_apps_lookup_item_t item = NIPC_APPS_LOOKUP_ITEM_INIT;
    size_t len;
    memset(&answer, 0, sizeof(answer));
    memset(&builder, 0, sizeof(builder));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_answer_view_item(&answer, 0, &view));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_apps_lookup_answer_view_item(NULL, 0, &view));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_response_builder_known(&builder, &item));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_response_builder_finish(&builder, &len));
    CHECK(!nipc_apps_lookup_response_builder_is_full(NULL));

    char request[64], out[256];
    nipc_apps_lookup_request_builder_t keys;
    nipc_apps_lookup_request_view_t asked;
    CHECK_OK(nipc_apps_lookup_request_builder_init(&keys, request, sizeof(request), 1));
    CHECK_OK(nipc_apps_lookup_request_builder_push(&keys, 2));
    CHECK_OK(nipc_apps_lookup_request_builder_finish(&keys, &len));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_request_builder_push(&keys, 3));
    CHECK_OK(nipc_apps_lookup_request_decode(request, len, &asked));
    CHECK_OK(nipc_apps_lookup_response_builder_init(&builder, &asked, out, sizeof(out), true));
    item.pid = 2;
    item.comm = nipc_str("x");
    item.cgroup_status = 77;
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_apps_lookup_response_builder_known(&builder, &item));
    item.cgroup_status = NIPC_APPS_LOOKUP_CGROUP_STATUS_HOST_ROOT;
    CHECK_OK(nipc_apps_lookup_response_builder_known(&builder, &item));
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_apps_lookup_response_builder_known(&builder, &item)); /* one too many */
    CHECK_ERROR(NIPC_ERR_BUILD, nipc_apps_lookup_response_builder_finish(&builder, &len));

    nipc_handler_t none = nipc_increment_handler(NULL, NULL);
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT,
                nipc_server_init_typed(&server, run_dir, NIPC_INCREMENT_SERVICE, NULL, 0, none));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_increment_server_init(&server, run_dir, NULL, 0, NULL, NULL));
}

/* A directory may point at one item again and again: it decodes (spec section 10.5), and is not copied. */
static void items_that_share_bytes_are_not_copied(void)
{
    const size_t directory_at = 24, entry_bytes = 8;
    unsigned char payload[256];
    size_t len;
    nipc_cgroups_snapshot_response_builder_t builder;
    CHECK_OK(nipc_cgroups_snapshot_response_builder_init(&builder, payload, sizeof(payload), 2));
    for (uint32_t hash = 0; hash < 2; hash++) {
        nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
        item.hash = hash;
        CHECK_OK(nipc_cgroups_snapshot_response_builder_item(&builder, &item));
    }
    CHECK_OK(nipc_cgroups_snapshot_response_builder_finish(&builder, &len));
    nipc_cgroups_snapshot_response_view_t view;
    nipc_cgroups_snapshot_response_copy_t copy = {0, NULL};
    CHECK_OK(nipc_cgroups_snapshot_response_decode(payload, len, &view));
    CHECK_OK(nipc_cgroups_snapshot_response_copy(&view, &copy));
    CHECK_OK(nipc_cgroups_snapshot_response_copy_free(&copy));

    memcpy(payload + directory_at + entry_bytes, payload + directory_at, entry_bytes);
    CHECK_OK(nipc_cgroups_snapshot_response_decode(payload, len, &view));
    CHECK_NUMBER(2, view.count);
    CHECK_ERROR(NIPC_ERR_MALFORMED, nipc_cgroups_snapshot_response_copy(&view, &copy));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_snapshot_response_copy_free(&copy));
}

int main(void)
{
    run_dir = make_run_dir();
    const uint32_t transports[] = {
        NIPC_PROFILE_BASELINE,
        NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID,
#ifdef _WIN32
        NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_BUSYWAIT,
#endif
    };
    for (size_t index = 0; index < sizeof transports / sizeof transports[0]; index++) {
        nipc_host_t host = NIPC_HOST_INIT;
        start(&host, transports[index]);
        call_increment(transports[index]);
        call_string_reverse(transports[index]);
        look_up_apps(transports[index]);
        look_up_cgroups(transports[index]);
        look_up_networks(transports[index]);
        fetch_snapshot(transports[index]);
        CHECK_OK(nipc_host_destroy(&host));
    }
    what_the_schema_forbids_is_refused();
    items_that_share_bytes_are_not_copied();
    remove_run_dir(run_dir, SERVICES);
    puts("every service answers over every transport");
    return 0;
}
