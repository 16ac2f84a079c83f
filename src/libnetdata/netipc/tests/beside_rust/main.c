/* One program, two Rust static libraries. */
#include <stdint.h>
#include <stdio.h>

#include <netipc/increment.h>

uint64_t neighbour_sum(uint64_t count);

int main(void)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_error_t error = nipc_increment_client_init(&client, "/nowhere", NIPC_INCREMENT_SERVICE, NULL);
    if (error == NIPC_OK) {
        error = nipc_client_refresh(&client, NULL);
    }
    uint64_t sum = neighbour_sum(4); /* 0 + 1 + 4 + 9, and 1 for the panic */
    printf("%s %llu\n", nipc_error_name(error), (unsigned long long)sum);
    return error == NIPC_OK && nipc_client_close(&client) == NIPC_OK && sum == 15 ? 0 : 1;
}
