/* Servers and clients that come and go again and again, in one process, over each transport: in the end it has the
 * descriptors, threads and names that it had in the beginning. */
#include "support.h"

#include <dirent.h>

#include <netipc/services.h>

#define ROUNDS 100u
#define STOP_TRIES 10u
/* A thread that was waited for may be listed a moment longer: so many at most, the last server's. One that each server
 * left would be far more. */
#define THREADS_LISTED 8u

static const char *run_dir;

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    (void)context, (void)who;
    nipc_increment_response_t answer = {request->value + 1};
    return nipc_increment_response_builder_set(response, &answer);
}

/* A server that answers a client, and ends before it or after it, at once or by draining. */
static void start_and_stop(uint32_t profiles, unsigned round)
{
    nipc_server_config_t served = {0};
    nipc_client_config_t asked = {0};
    served.supported_profiles = asked.supported_profiles = profiles;
    served.preferred_profiles = asked.preferred_profiles = profiles;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, &served, 2, increment, NULL));
    CHECK_OK(nipc_server_start(&server));
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, &asked));
    CHECK_OK(nipc_client_refresh(&client, NULL));

    nipc_increment_request_t request = {round};
    nipc_increment_response_view_t response;
    CHECK_OK(nipc_increment_call(&client, &request, &response));
    CHECK(response.value == round + 1);
    nipc_client_status_t status;
    CHECK_OK(nipc_client_status(&client, &status));
    CHECK(status.has_session);
    CHECK((status.terms.profile == NIPC_PROFILE_BASELINE) == (profiles == NIPC_PROFILE_BASELINE));

    int leaves_first = round % 2 != 0;
    if (leaves_first) {
        CHECK_OK(nipc_client_close(&client));
    }
    if (round % 3 == 0) {
        (void)nipc_server_drain(&server);
    }
    /* Its threads may be late on a busy machine: each try waits for them for a while. */
    nipc_error_t left = nipc_server_destroy(&server);
    for (unsigned tries = 1; left == NIPC_ERR_HANDLERS_RUNNING && tries < STOP_TRIES; tries++) {
        left = nipc_server_destroy(&server);
    }
    CHECK_OK(left);
    if (!leaves_first) {
        CHECK_OK(nipc_client_close(&client));
    }
}

static unsigned entries_of(const char *path)
{
    unsigned count = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void starting_and_stopping_again_and_again_leaves_nothing_in_c(uint32_t profiles)
{
    /* What is made once, and the lock that servers leave at their name, is made by the first. */
    start_and_stop(profiles, 0);
    unsigned descriptors = entries_of("/proc/self/fd"), names = entries_of(run_dir);
    unsigned threads = entries_of("/proc/self/task");
    for (unsigned round = 1; round <= ROUNDS; round++) {
        start_and_stop(profiles, round);
    }
    CHECK(entries_of("/proc/self/fd") == descriptors);
    CHECK(entries_of(run_dir) == names);
    CHECK(entries_of("/proc/self/task") <= threads + THREADS_LISTED);
}

int main(void)
{
    run_dir = make_run_dir();
    starting_and_stopping_again_and_again_leaves_nothing_in_c(NIPC_PROFILE_BASELINE);
    starting_and_stopping_again_and_again_leaves_nothing_in_c(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID);
    remove_run_dir(run_dir, (const char *const[]){NIPC_INCREMENT_SERVICE, NULL});
    return EXIT_SUCCESS;
}
