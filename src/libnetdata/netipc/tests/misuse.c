/* Whatever a program does wrong gives an error with words, and never a crash: NULL, memory that was never
 * zeroed, closing twice, using what is closed, the client of another service, outputs on failure. */
#include "support.h"

#include <netipc/services.h>

static const char *run_dir;

static nipc_error_t answer_nothing(void *context, const nipc_request_context_t *who,
                                   const nipc_increment_request_view_t *request,
                                   nipc_increment_response_builder_t *response)
{
    (void)context, (void)who, (void)request, (void)response;
    return NIPC_OK;
}

static void errors_have_names_and_words(void)
{
    CHECK(strcmp(nipc_last_error(), "") == 0); /* the first check of all: nothing has failed yet */
    CHECK(strcmp(nipc_error_name(NIPC_OK), "NIPC_OK") == 0);
    CHECK(strcmp(nipc_error_name(NIPC_ERR_PANIC), "NIPC_ERR_PANIC") == 0);
    CHECK(strcmp(nipc_error_name(-1), "NIPC_ERR_UNKNOWN") == 0);
    CHECK(strcmp(nipc_error_name(1 << 30), "NIPC_ERR_UNKNOWN") == 0);
    CHECK(strcmp(nipc_client_state_name(NIPC_CLIENT_NOT_FOUND), "not found") == 0);
    CHECK(strcmp(nipc_client_state_name(99), "unknown") == 0);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_client_refresh(NULL, NULL));
    CHECK(strstr(nipc_last_error(), "NULL") != NULL && strstr(nipc_last_error(), "the caller") != NULL);
}

static void null_is_refused(void)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    const nipc_error_t refused = NIPC_ERR_INVALID_ARGUMENT;
    CHECK_ERROR(refused, nipc_client_init(NULL, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_ERROR(refused, nipc_client_init(&client, NULL, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_ERROR(refused, nipc_client_init(&client, run_dir, NULL, NULL));
    CHECK_ERROR(refused, nipc_client_state(NULL, NULL));
    CHECK_ERROR(refused, nipc_client_status(&client, NULL));
    CHECK_ERROR(refused, nipc_client_abort(NULL));
    CHECK_ERROR(refused, nipc_client_abort_clear(NULL));
    CHECK_ERROR(refused, nipc_client_close(NULL));
    CHECK(!nipc_client_ready(NULL));
    CHECK_ERROR(refused, nipc_increment_call(NULL, NULL, NULL));
    CHECK_ERROR(refused, nipc_server_start(NULL));
    CHECK_ERROR(refused, nipc_server_run(NULL));
    CHECK_ERROR(refused, nipc_server_stop(NULL));
    CHECK_ERROR(refused, nipc_server_drain(NULL));
    CHECK_ERROR(refused, nipc_server_status(NULL, NULL));
    CHECK_ERROR(refused, nipc_server_destroy(NULL));
    CHECK_ERROR(refused, nipc_host_init(NULL, 1));
    CHECK_ERROR(refused, nipc_host_destroy(NULL));
    CHECK_ERROR(refused, nipc_listener_close(NULL));
    CHECK_ERROR(refused, nipc_session_close(NULL));
    CHECK_ERROR(refused, nipc_token_from_session_uuid(NULL, NULL));
    CHECK_ERROR(refused, nipc_labels_view_get(NULL, 0, NULL));
    CHECK(!nipc_request_context_stop_requested(NULL));
}

static void what_was_never_made_is_refused(void)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_host_t host = NIPC_HOST_INIT;
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    nipc_session_t session = NIPC_SESSION_INIT;
    nipc_client_status_t client_status;
    nipc_server_status_t server_status;
    nipc_increment_request_t request = NIPC_INCREMENT_REQUEST_INIT;
    nipc_increment_response_view_t response;
    nipc_message_view_t message;
    int number = 0;
    const nipc_error_t closed = NIPC_ERR_NOT_INITIALIZED;
    CHECK_ERROR(closed, nipc_client_refresh(&client, NULL));
    CHECK_ERROR(closed, nipc_client_status(&client, &client_status));
    CHECK_ERROR(closed, nipc_client_abort(&client));
    CHECK_ERROR(closed, nipc_increment_call(&client, &request, &response));
    CHECK(!nipc_client_ready(&client));
    CHECK_ERROR(closed, nipc_client_close(&client));
    CHECK_ERROR(closed, nipc_server_start(&server));
    CHECK_ERROR(closed, nipc_server_run(&server));
    CHECK_ERROR(closed, nipc_server_stop(&server));
    CHECK_ERROR(closed, nipc_server_drain(&server));
    CHECK_ERROR(closed, nipc_server_status(&server, &server_status));
    CHECK_ERROR(closed, nipc_server_destroy(&server));
    CHECK_ERROR(closed, nipc_host_start(&host));
    CHECK_ERROR(closed, nipc_host_destroy(&host));
    CHECK_ERROR(closed, nipc_listener_fd(&listener, &number));
    CHECK_ERROR(closed, nipc_listener_try_accept(&listener, true, &session));
    CHECK_ERROR(closed, nipc_listener_close(&listener));
    CHECK_ERROR(closed, nipc_session_try_receive(&session, &message));
    CHECK_ERROR(closed, nipc_session_abort(&session));
    CHECK_ERROR(closed, nipc_session_close(&session));

    nipc_labels_view_t labels;
    nipc_label_t label;
    memset(&labels, 0, sizeof labels);
    CHECK_ERROR(closed, nipc_labels_view_get(&labels, 0, &label));

    nipc_cgroups_lookup_response_view_t answers;
    nipc_cgroups_lookup_item_view_t item;
    memset(&answers, 0, sizeof answers);
    CHECK_ERROR(closed, nipc_cgroups_lookup_response_view_item(&answers, 0, &item));
    nipc_increment_response_copy_t copy;
    memset(&copy, 0, sizeof copy);
    memset(&response, 0, sizeof response);
    CHECK_ERROR(closed, nipc_increment_response_copy(&response, &copy));

    /* Never zeroed: what lies on a stack. */
    memset(&answers, 0xA5, sizeof answers);
    CHECK_ERROR(closed, nipc_cgroups_lookup_response_view_item(&answers, 0, &item));
    memset(&client, 0xA5, sizeof client);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK(strstr(nipc_last_error(), "zeroed") != NULL);
    CHECK_ERROR(closed, nipc_client_refresh(&client, NULL));
    CHECK_ERROR(closed, nipc_client_close(&client));
}

/* What is read as another type than it was filled in as. */
static void a_view_of_another_type_is_refused(void)
{
    nipc_cgroups_lookup_response_t none = NIPC_CGROUPS_LOOKUP_RESPONSE_INIT;
    nipc_cgroups_lookup_response_view_t view;
    nipc_cgroups_lookup_item_view_t item;
    unsigned char payload[64];
    size_t len = 0;
    CHECK_OK(nipc_cgroups_lookup_response_encode(&none, payload, sizeof payload, &len));
    CHECK_OK(nipc_cgroups_lookup_response_decode(payload, len, &view));
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_cgroups_lookup_response_view_item(&view, 0, &item));
    CHECK(strstr(nipc_last_error(), "there are 0") != NULL);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_cgroups_lookup_response_view_item(&view, 0, NULL));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_cgroups_lookup_response_view_item(NULL, 0, &item));

    nipc_apps_lookup_response_view_t other;
    nipc_apps_lookup_item_view_t app;
    nipc_apps_lookup_response_copy_t copy = {0, NULL};
    memcpy(&other, &view, sizeof other < sizeof view ? sizeof other : sizeof view);
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_response_view_item(&other, 0, &app));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_apps_lookup_response_copy(&other, &copy));
}

static void bad_names_and_configurations_are_refused(void)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_client_init(&client, run_dir, "no/slash", NULL));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_client_init(&client, run_dir, "unknown", NULL));
    CHECK(strstr(nipc_last_error(), NIPC_INCREMENT_SERVICE) != NULL); /* the words list what there is */
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_client_init(&client, run_dir, "\xff", NULL));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_increment_client_init(&client, run_dir, "..", NULL));
    char long_name[300]; /* no system has names of so many bytes */
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_increment_client_init(&client, run_dir, long_name, NULL));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_client_close(&client)); /* a failed init made nothing */

    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_handler_t none;
    memset(&none, 0, sizeof none);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT,
                nipc_server_init_typed(&server, run_dir, NIPC_INCREMENT_SERVICE, NULL, 1, none));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT,
                nipc_server_init_typed(&server, run_dir, NIPC_INCREMENT_SERVICE, NULL, 1,
                                       nipc_increment_handler(NULL, NULL)));
    nipc_server_config_t config = NIPC_SERVER_CONFIG_INIT;
    config.access.uid_count = 1; /* and no uids */
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT,
                nipc_increment_server_init(&server, run_dir, &config, 1, answer_nothing, NULL));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_server_destroy(&server));

    /* More workers than there can be, as a negative number is. */
    config.access.uid_count = 0;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT,
                nipc_increment_server_init(&server, run_dir, &config, (size_t)-1, answer_nothing, NULL));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_server_destroy(&server));
    nipc_host_t host = NIPC_HOST_INIT;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_host_init(&host, NIPC_MAX_WORKERS + 1));
    CHECK_OK(nipc_host_init(&host, NIPC_MAX_WORKERS));
    CHECK_OK(nipc_host_destroy(&host));

    uint64_t token = 1;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_token_from_session_uuid("not one", &token));
    CHECK(token == 1);
    CHECK_OK(nipc_token_from_session_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", &token));
    uint64_t same = 0;
    CHECK_OK(nipc_token_from_session_uuid("6BA7B8109DAD11D180B400C04FD430C8", &same));
    CHECK(token == same && token > 1);
}

static void a_client_lives_between_init_and_close(void)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED,
                nipc_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    nipc_increment_request_t request = NIPC_INCREMENT_REQUEST_INIT;
    nipc_increment_response_view_t response;
    memset(&response, 0x77, sizeof response);
    CHECK_ERROR(NIPC_ERR_NOT_READY, nipc_increment_call(&client, &request, &response));
    CHECK(response.value == 0x7777777777777777u); /* outputs are written on success alone */

    const uint32_t pid = 1;
    nipc_apps_lookup_answer_view_t answer;
    CHECK_ERROR(NIPC_ERR_WRONG_SERVICE, nipc_apps_lookup_call(&client, &pid, 1, &answer));

    bool changed = false;
    CHECK_OK(nipc_client_refresh(&client, &changed));
    nipc_client_state_t state = -1;
    CHECK_OK(nipc_client_state(&client, &state));
    CHECK(changed && state == NIPC_CLIENT_NOT_FOUND && !nipc_client_ready(&client));
    nipc_client_status_t status;
    CHECK_OK(nipc_client_status(&client, &status));
    CHECK(status.state == NIPC_CLIENT_NOT_FOUND && !status.has_session);
    CHECK(status.counters.failed_connects == 1 && status.counters.errors_not_ready == 1);
    CHECK(strlen(status.reason) > 0 && strlen(status.reason) < NIPC_TEXT_BYTES);

    nipc_client_ctx_t moved = client;
    memset(&client, 0, sizeof client);
    CHECK_OK(nipc_client_refresh(&moved, NULL));
    CHECK_OK(nipc_client_close(&moved));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_client_close(&moved));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_increment_call(&moved, &request, &response));
    CHECK_OK(nipc_client_init(&moved, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_OK(nipc_client_close(&moved));
}

int main(void)
{
    errors_have_names_and_words();
    run_dir = make_run_dir();
    null_is_refused();
    what_was_never_made_is_refused();
    a_view_of_another_type_is_refused();
    bad_names_and_configurations_are_refused();
    a_client_lives_between_init_and_close();
    remove_run_dir(run_dir, (const char *const[]){NULL});
    return EXIT_SUCCESS;
}
