/* Asks increment for the successor of a number, and of the numbers behind it in one message.
 *
 * Usage: call_consumer RUN_DIR NUMBER */
#include <netipc/increment.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_ITEMS 3

static int failed(nipc_client_ctx_t *client, nipc_error_t error)
{
    fprintf(stderr, "%s: %s\n", nipc_error_name(error), nipc_last_error());
    nipc_client_close(client);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: call_consumer RUN_DIR NUMBER\n", stderr);
        return 2;
    }
    nipc_client_config_t config = NIPC_CLIENT_CONFIG_INIT;
    config.supported_profiles = NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID;
    config.preferred_profiles = NIPC_PROFILE_SHM_HYBRID;

    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_error_t error = nipc_increment_client_init(&client, argv[1], NIPC_INCREMENT_SERVICE, &config);
    if (error == NIPC_OK) {
        error = nipc_client_refresh(&client, NULL);
    }
    if (error != NIPC_OK) {
        return failed(&client, error);
    }

    nipc_increment_request_t requests[BATCH_ITEMS];
    for (uint64_t index = 0; index < BATCH_ITEMS; index++) {
        requests[index].value = strtoull(argv[2], NULL, 10) + index;
    }
    nipc_increment_response_view_t response;
    error = nipc_increment_call(&client, &requests[0], &response);
    if (error != NIPC_OK) {
        return failed(&client, error);
    }
    printf("%" PRIu64 "\n", response.value);

    nipc_increment_batch_view_t answers;
    error = nipc_increment_batch(&client, requests, BATCH_ITEMS, &answers);
    if (error != NIPC_OK) {
        return failed(&client, error);
    }
    for (size_t index = 0; index < answers.count; index++) {
        nipc_increment_batch_view_get(&answers, index, &response);
        printf("%" PRIu64 "%s", response.value, index + 1 < answers.count ? " " : "\n");
    }
    nipc_client_close(&client);
    return 0;
}
