/* The file of a session's shared memory is cut off (ftruncate) under a server and under a client that are C
 * programs with handlers of their own for SIGBUS, each in a process of its own: both live, that session alone
 * ends, everybody else is answered; and the programs' own faults reach their own handlers, as before. */
#include "support.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <netipc/services.h>

#define ROUNDS 50u
#define PROFILES (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID)
/* What the handler cuts its own session off for, before it answers. */
#define CUT_MINE 1000000u

static const char *run_dir;

/* ------------------------------------------------------------------------- the program's own handler */

static unsigned char *own_memory;
static size_t page_bytes;
static sigjmp_buf after_fault;
static volatile sig_atomic_t own_faults;

static void on_own_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    unsigned char *address = (unsigned char *)info->si_addr;
    if (address < own_memory || address >= own_memory + page_bytes) {
        static const char words[] = "a fault that is not this program's reached its handler\n";
        (void)!write(STDERR_FILENO, words, sizeof words - 1);
        _exit(77);
    }
    own_faults++;
    siglongjmp(after_fault, 1);
}

/* Memory whose file is empty, and what takes its faults: before there is any session. */
static void prepare_own_faults(void)
{
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    char path[] = "/tmp/netipc-c-own-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0);
    own_memory = mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, file, 0);
    CHECK(own_memory != MAP_FAILED && close(file) == 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_own_fault;
    action.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

static void own_faults_are_the_programs(void)
{
    sig_atomic_t before = own_faults;
    if (sigsetjmp(after_fault, 1) == 0) {
        volatile unsigned char *lost = own_memory;
        (void)*lost;
        CHECK(!"there was no fault");
    }
    CHECK(own_faults == before + 1);
}

/* ------------------------------------------------------------------------------------------ the server */

static void cut(uint64_t session_id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s-%016" PRIx64 ".ipcshm", run_dir, NIPC_INCREMENT_SERVICE, session_id);
    CHECK(truncate(path, 0) == 0);
}

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    (void)context;
    if (request->value == CUT_MINE) {
        cut(who->session_id);
    }
    nipc_increment_response_t answer = {request->value + 1};
    return nipc_increment_response_builder_set(response, &answer);
}

static int serve(int ready, int stop)
{
    char byte = 0;
    nipc_server_config_t config = NIPC_SERVER_CONFIG_INIT;
    config.supported_profiles = PROFILES;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    prepare_own_faults();
    CHECK_OK(nipc_increment_server_init(&server, run_dir, &config, 2, increment, NULL));
    CHECK_OK(nipc_server_start(&server));
    CHECK(write(ready, &byte, 1) == 1);
    unsigned noticed_here; /* how many cuts the other process says were noticed here first: it ends this one */
    CHECK(read(stop, &noticed_here, sizeof noticed_here) == (ssize_t)sizeof noticed_here);
    own_faults_are_the_programs();
    nipc_server_status_t status;
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(status.ended_violated >= noticed_here);
    CHECK_OK(nipc_server_stop(&server));
    CHECK_OK(nipc_server_destroy(&server));
    return EXIT_SUCCESS;
}

/* ----------------------------------------------------------------------------------------- the clients */

static void connect_client(nipc_client_ctx_t *client)
{
    nipc_client_status_t status;
    CHECK_OK(nipc_client_refresh(client, NULL));
    CHECK_OK(nipc_client_status(client, &status));
    CHECK(status.has_session && status.terms.profile == NIPC_PROFILE_SHM_HYBRID);
}

static nipc_error_t ask(nipc_client_ctx_t *client, uint64_t value)
{
    nipc_increment_request_t request = {value};
    nipc_increment_response_view_t response;
    nipc_error_t error = nipc_increment_call(client, &request, &response);
    CHECK(error != NIPC_OK || response.value == value + 1);
    return error;
}

static void cut_under_the_client(nipc_client_ctx_t *client)
{
    nipc_client_status_t status;
    connect_client(client);
    CHECK_OK(ask(client, 1));
    CHECK_OK(nipc_client_status(client, &status));
    cut(status.terms.session_id);
    CHECK_ERROR(NIPC_ERR_VIOLATION, ask(client, 2));
}

/* True where the server noticed it first and ended the session: else the client did. */
static bool cut_under_the_server(nipc_client_ctx_t *client)
{
    connect_client(client);
    CHECK_OK(ask(client, 3));
    nipc_error_t met = ask(client, CUT_MINE);
    CHECK(met == NIPC_ERR_VIOLATION || met == NIPC_ERR_LOST);
    return met == NIPC_ERR_LOST;
}

int main(void)
{
    run_dir = make_run_dir();
    int ready[2], stop[2];
    char byte;
    CHECK(pipe(ready) == 0 && pipe(stop) == 0);
    pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        CHECK(close(stop[1]) == 0);
        return serve(ready[1], stop[0]);
    }
    CHECK(close(ready[1]) == 0);
    CHECK(read(ready[0], &byte, 1) == 1);
    prepare_own_faults();

    nipc_client_config_t config = NIPC_CLIENT_CONFIG_INIT;
    config.supported_profiles = PROFILES;
    nipc_client_ctx_t victim = NIPC_CLIENT_INIT, bystander = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_increment_client_init(&victim, run_dir, NIPC_INCREMENT_SERVICE, &config));
    CHECK_OK(nipc_increment_client_init(&bystander, run_dir, NIPC_INCREMENT_SERVICE, &config));
    connect_client(&bystander);
    unsigned noticed_there = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        cut_under_the_client(&victim);
        CHECK_OK(ask(&bystander, round));
        noticed_there += cut_under_the_server(&victim);
        CHECK_OK(ask(&bystander, round));
        own_faults_are_the_programs();
    }
    nipc_client_status_t status;
    CHECK_OK(nipc_client_status(&bystander, &status));
    CHECK(status.counters.connects == 1);
    CHECK_OK(nipc_client_close(&victim));
    CHECK_OK(nipc_client_close(&bystander));

    int ended;
    CHECK(write(stop[1], &noticed_there, sizeof noticed_there) == (ssize_t)sizeof noticed_there);
    CHECK(close(stop[1]) == 0);
    CHECK(waitpid(server, &ended, 0) == server);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == EXIT_SUCCESS);
    const char *const services[] = {NIPC_INCREMENT_SERVICE, NULL};
    remove_run_dir(run_dir, services);
    puts("cut: good");
    return EXIT_SUCCESS;
}
