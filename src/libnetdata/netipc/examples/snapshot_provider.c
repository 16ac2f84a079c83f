/* Provides cgroups-snapshot: everything that it knows, at once.
 *
 * Usage: snapshot_provider RUN_DIR. Serves until its standard input ends. */
#include <netipc/cgroups_snapshot.h>

#include <stdio.h>

static const char *const GROUPS[][2] = {{"web", "/docker/web"}, {"db", "/docker/db"}};

static nipc_error_t answer(void *context, const nipc_request_context_t *who,
                           nipc_cgroups_snapshot_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_error_t error = nipc_cgroups_snapshot_response_builder_generation(response, 1);
    for (uint32_t index = 0; index < sizeof(GROUPS) / sizeof(GROUPS[0]) && error == NIPC_OK; index++) {
        nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
        item.hash = index;
        item.enabled = 1;
        item.name = nipc_str(GROUPS[index][0]);
        item.path = nipc_str(GROUPS[index][1]);
        /* Where the limit is too small for all, this says so, and the client asks for a larger one. */
        error = nipc_cgroups_snapshot_response_builder_item(response, &item);
    }
    return error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: snapshot_provider RUN_DIR\n", stderr);
        return 2;
    }
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_error_t error = nipc_cgroups_snapshot_server_init(&server, argv[1], NULL, 0, answer, NULL);
    if (error == NIPC_OK) {
        error = nipc_server_start(&server);
    }
    if (error != NIPC_OK) {
        fprintf(stderr, "cannot serve: %s: %s\n", nipc_error_name(error), nipc_last_error());
        return 1;
    }
    puts("serving " NIPC_CGROUPS_SNAPSHOT_SERVICE);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return nipc_server_destroy(&server) == NIPC_OK ? 0 : 1;
}
