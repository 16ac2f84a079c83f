/* The smallest client: one service, one call. What it takes, linked statically and stripped, is the
 * library's size for a program that uses one service. */
#include <stdio.h>

#include <netipc/increment.h>

int main(int argc, char **argv)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_increment_request_t request = {41};
    nipc_increment_response_view_t response;
    nipc_error_t error = NIPC_ERR_INVALID_ARGUMENT;
    if (argc == 2) {
        error = nipc_increment_client_init(&client, argv[1], NIPC_INCREMENT_SERVICE, NULL);
    }
    if (error == NIPC_OK) {
        error = nipc_client_refresh(&client, NULL);
    }
    if (error == NIPC_OK) {
        error = nipc_increment_call(&client, &request, &response);
    }
    printf("%s %s\n", nipc_error_name(error), nipc_last_error());
    nipc_client_close(&client);
    return error == NIPC_OK ? 0 : 1;
}
