/* Provides increment: the smallest service there is.
 *
 * Usage: call_provider RUN_DIR. Serves until its standard input ends. */
#include <netipc/increment.h>

#include <stdio.h>

static nipc_error_t answer(void *context, const nipc_request_context_t *who,
                           const nipc_increment_request_view_t *request,
                           nipc_increment_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_increment_response_t answer = NIPC_INCREMENT_RESPONSE_INIT;
    answer.value = request->value + 1;
    return nipc_increment_response_builder_set(response, &answer);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: call_provider RUN_DIR\n", stderr);
        return 2;
    }
    /* Shared memory with those clients that have it, too. */
    nipc_server_config_t config = NIPC_SERVER_CONFIG_INIT;
    config.supported_profiles = NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID;
    config.preferred_profiles = NIPC_PROFILE_SHM_HYBRID;

    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_error_t error = nipc_increment_server_init(&server, argv[1], &config, 0, answer, NULL);
    if (error == NIPC_OK) {
        error = nipc_server_start(&server);
    }
    if (error != NIPC_OK) {
        fprintf(stderr, "cannot serve: %s: %s\n", nipc_error_name(error), nipc_last_error());
        return 1;
    }
    puts("serving " NIPC_INCREMENT_SERVICE);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return nipc_server_destroy(&server) == NIPC_OK ? 0 : 1;
}
