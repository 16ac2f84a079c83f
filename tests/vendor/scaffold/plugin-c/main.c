/* A plugin: `plugin-c serve DIR` answers until its input ends, `plugin-c ask DIR TEXT` asks once. */
#include <netipc/services.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what) {
    fprintf(stderr, "plugin-c: %s: %s\n", what, nipc_last_error());
    return EXIT_FAILURE;
}

static nipc_error_t reverse(void *context, const nipc_request_context_t *who,
                            const nipc_string_reverse_request_view_t *request,
                            nipc_string_reverse_response_builder_t *response) {
    (void)context;
    (void)who;
    size_t len = request->bytes.len;
    char *text = malloc(len + 1);
    if (!text)
        return NIPC_ERR_SYSTEM;
    for (size_t i = 0; i < len; i++)
        text[i] = request->bytes.ptr[len - 1 - i];
    nipc_string_reverse_response_t answer = {{text, len}};
    nipc_error_t error = nipc_string_reverse_response_builder_set(response, &answer);
    free(text);
    return error;
}

static int serve(const char *run_dir) {
    nipc_managed_server_t server = {0};
    if (nipc_string_reverse_server_init(&server, run_dir, NULL, 0, reverse, NULL) != NIPC_OK ||
        nipc_server_start(&server) != NIPC_OK)
        return failed("serving");
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return nipc_server_destroy(&server) == NIPC_OK ? EXIT_SUCCESS : failed("stopping");
}

static int ask(const char *run_dir, const char *text) {
    nipc_client_ctx_t client = {0};
    nipc_string_reverse_request_t request = {nipc_str(text)};
    nipc_string_reverse_response_view_t answer;
    bool changed;
    if (nipc_string_reverse_client_init(&client, run_dir, NIPC_STRING_REVERSE_SERVICE, NULL) != NIPC_OK ||
        nipc_client_refresh(&client, &changed) != NIPC_OK ||
        nipc_string_reverse_call(&client, &request, &answer) != NIPC_OK)
        return failed("asking");
    printf("%s\n", answer.bytes.ptr);
    return nipc_client_close(&client) == NIPC_OK ? EXIT_SUCCESS : failed("closing");
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2]);
    if (count == 4 && strcmp(arguments[1], "ask") == 0)
        return ask(arguments[2], arguments[3]);
    fputs("say serve DIR, or ask DIR TEXT\n", stderr);
    return EXIT_FAILURE;
}
