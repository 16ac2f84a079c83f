// A handler that throws: the server's process ends there, and says why.
#include <netipc/increment.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <unistd.h>

static nipc_error_t throws(void *, const nipc_request_context_t *, const nipc_increment_request_view_t *,
                           nipc_increment_response_builder_t *)
{
    throw std::runtime_error("past the handler");
}

// One process is both ends: the exception ends it.
int main()
{
    char run_dir[] = "/tmp/netipc-throws-XXXXXX";
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_increment_request_t request = NIPC_INCREMENT_REQUEST_INIT;
    nipc_increment_response_view_t answer;
    if (mkdtemp(run_dir) == nullptr ||
        nipc_increment_server_init(&server, run_dir, nullptr, 1, throws, nullptr) != NIPC_OK ||
        nipc_server_start(&server) != NIPC_OK ||
        nipc_increment_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, nullptr) != NIPC_OK ||
        nipc_client_refresh(&client, nullptr) != NIPC_OK) {
        std::fprintf(stderr, "no session: %s\n", nipc_last_error());
        return EXIT_FAILURE;
    }
    std::puts(run_dir);
    std::fflush(stdout);
    const nipc_error_t error = nipc_increment_call(&client, &request, &answer);
    std::fprintf(stderr, "the process lives on: %s\n", nipc_error_name(error));
    return EXIT_FAILURE;
}
