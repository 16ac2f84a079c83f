/* Asks ip-to-asn for some addresses, all at once.
 *
 * Usage: lookup_consumer RUN_DIR IP… */
#include <netipc/ip_to_asn.h>

#include <stdio.h>

#define MAX_KEYS 64

int main(int argc, char **argv)
{
    if (argc < 3 || argc - 2 > MAX_KEYS) {
        fputs("usage: lookup_consumer RUN_DIR IP...\n", stderr);
        return 2;
    }
    nipc_str_t keys[MAX_KEYS];
    size_t count = (size_t)(argc - 2);
    for (size_t index = 0; index < count; index++) {
        keys[index] = nipc_str(argv[index + 2]);
    }

    /* A refresh connects; a program that asks again and again refreshes in each round of its own loop. */
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_error_t error = nipc_ip_to_asn_client_init(&client, argv[1], NIPC_IP_TO_ASN_SERVICE, NULL);
    if (error == NIPC_OK) {
        error = nipc_client_refresh(&client, NULL);
    }
    /* The answer is the client's, and lasts until its next use. */
    nipc_ip_to_asn_answer_view_t answer;
    if (error == NIPC_OK) {
        error = nipc_ip_to_asn_call(&client, keys, count, &answer);
    }
    if (error != NIPC_OK) {
        fprintf(stderr, "%s: %s\n", nipc_error_name(error), nipc_last_error());
        nipc_client_close(&client);
        return 1;
    }
    for (size_t index = 0; index < answer.count; index++) {
        nipc_ip_to_asn_item_view_t item;
        nipc_ip_to_asn_answer_view_item(&answer, index, &item);
        if (item.status == NIPC_IP_TO_ASN_STATUS_KNOWN) {
            printf("%s AS%u %s %s\n", item.ip.ptr, (unsigned)item.asn, item.as_name.ptr, item.country.ptr);
        } else {
            printf("%s %s\n", item.ip.ptr, nipc_ip_to_asn_status_name(item.status));
        }
    }
    nipc_client_close(&client);
    return 0;
}
