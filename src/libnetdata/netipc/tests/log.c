/* What clients and servers tell as it happens, to a function of the program's. */
#include "support.h"

#include <stdbool.h>

#include <netipc/services.h>

#define EVENTS_MAX 64u

/* What was told so far; the first field is set before nipc_log_set(). */
typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned count;
    nipc_log_level_t levels[EVENTS_MAX];
    char texts[EVENTS_MAX][NIPC_TEXT_BYTES];
    nipc_error_t replaced;
} told_t;

static void note(void *context, nipc_log_level_t level, const char *text)
{
    told_t *told = context;
    nipc_error_t replaced = nipc_log_set(NIPC_LOG_DEBUG, NULL, NULL);
    CHECK(pthread_mutex_lock(&told->lock) == 0);
    told->replaced = replaced;
    if (told->count < EVENTS_MAX) {
        told->levels[told->count] = level;
        snprintf(told->texts[told->count++], NIPC_TEXT_BYTES, "%s", text);
    }
    CHECK(pthread_cond_signal(&told->more) == 0);
    CHECK(pthread_mutex_unlock(&told->lock) == 0);
}

static bool is_there(const told_t *told, nipc_log_level_t level, const char *begin, const char *piece)
{
    for (unsigned index = 0; index < told->count; index++) {
        const char *text = told->texts[index];
        if (told->levels[index] == level && strncmp(text, begin, strlen(begin)) == 0 && strstr(text, piece)) {
            return true;
        }
    }
    return false;
}

/* Waits until there is an event of this level whose text begins so and has this piece. A server's threads tell of
 * their own. */
static void wait_for(told_t *told, nipc_log_level_t level, const char *begin, const char *piece)
{
    CHECK(pthread_mutex_lock(&told->lock) == 0);
    while (!is_there(told, level, begin, piece)) {
        CHECK(pthread_cond_wait(&told->more, &told->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&told->lock) == 0);
}

static unsigned count_of(told_t *told)
{
    CHECK(pthread_mutex_lock(&told->lock) == 0);
    unsigned count = told->count;
    CHECK(pthread_mutex_unlock(&told->lock) == 0);
    return count;
}

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    (void)context;
    (void)who;
    if (request->value == 0) {
        return NIPC_ERR_NOT_READY;
    }
    nipc_increment_response_t answer = {request->value + 1};
    return nipc_increment_response_builder_set(response, &answer);
}

static void ask(nipc_client_ctx_t *client, uint64_t value, nipc_error_t expected)
{
    nipc_increment_request_t request = {value};
    nipc_increment_response_view_t response;
    CHECK_ERROR(expected, nipc_increment_call(client, &request, &response));
}

static void levels_are_checked(void)
{
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_log_set(0, note, NULL));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_log_set(NIPC_LOG_DEBUG + 1, note, NULL));
    CHECK_OK(nipc_log_set(0, NULL, NULL));
}

int main(void)
{
    static told_t told = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, {0}, {{0}}, NIPC_OK};
    const char *run_dir = make_run_dir();
    levels_are_checked();
    CHECK_OK(nipc_log_set(NIPC_LOG_DEBUG, note, &told));

    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_increment_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    wait_for(&told, NIPC_LOG_INFO, "netipc client of ", ": no session: NotFound: ");
    CHECK(told.replaced == NIPC_ERR_IN_USE); /* nobody else tells yet */

    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 1, increment, NULL));
    CHECK_OK(nipc_server_start(&server));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    ask(&client, 1, NIPC_OK);
    wait_for(&told, NIPC_LOG_DEBUG, "netipc client of ", ": session 1: profile 0x01");
    wait_for(&told, NIPC_LOG_DEBUG, "netipc server of increment: session 1: ", "");
    unsigned before = count_of(&told);
    ask(&client, 2, NIPC_OK);
    CHECK(count_of(&told) == before); /* a call that goes well is no event */

    ask(&client, 0, NIPC_ERR_STATUS);
    wait_for(&told, NIPC_LOG_WARN, "netipc server of increment: handler failed 1: ", "NIPC_ERR_NOT_READY");
    wait_for(&told, NIPC_LOG_DEBUG, "netipc server of increment: session over 1: ", "");

    /* Only what is grave: the session that comes now is not. */
    CHECK_OK(nipc_log_set(NIPC_LOG_WARN, note, &told));
    before = count_of(&told);
    CHECK_OK(nipc_client_refresh(&client, NULL));
    ask(&client, 3, NIPC_OK);
    CHECK(count_of(&told) == before);
    ask(&client, 0, NIPC_ERR_STATUS);
    wait_for(&told, NIPC_LOG_WARN, "netipc server of increment: handler failed 2: ", "");

    CHECK_OK(nipc_log_set(0, NULL, NULL));
    before = count_of(&told);
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_server_stop(&server));
    CHECK_OK(nipc_server_destroy(&server));
    CHECK(count_of(&told) == before);
    const char *const services[] = {NIPC_INCREMENT_SERVICE, NULL};
    remove_run_dir(run_dir, services);
    puts("log: good");
    return EXIT_SUCCESS;
}
