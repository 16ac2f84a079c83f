/* Provides ip-to-asn: answers each address that it knows, and says of the others that it does not.
 *
 * Usage: lookup_provider RUN_DIR. Serves until its standard input ends. */
#include <netipc/ip_to_asn.h>

#include <stdio.h>
#include <string.h>

struct network {
    const char *ip;
    uint32_t asn;
    const char *as_name, *country;
};

static const struct network NETWORKS[] = {
    {"192.0.2.1", 64496, "EXAMPLE-ONE", "DE"},
    {"198.51.100.7", 64497, "EXAMPLE-TWO", "GR"},
};

static const struct network *find(nipc_str_t ip)
{
    for (size_t index = 0; index < sizeof(NETWORKS) / sizeof(NETWORKS[0]); index++) {
        const struct network *network = &NETWORKS[index];
        if (strlen(network->ip) == ip.len && memcmp(network->ip, ip.ptr, ip.len) == 0) {
            return network;
        }
    }
    return NULL;
}

/* Called by several threads at once. What it is given lasts until it returns. */
static nipc_error_t answer(void *context, const nipc_request_context_t *who,
                           const nipc_ip_to_asn_request_view_t *request,
                           nipc_ip_to_asn_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_error_t error = nipc_ip_to_asn_response_builder_generation(response, 1);
    for (size_t index = 0; index < request->count && error == NIPC_OK; index++) {
        nipc_str_t ip;
        error = nipc_ip_to_asn_request_view_key(request, index, &ip);
        if (error != NIPC_OK) {
            break;
        }
        const struct network *network = find(ip);
        if (network == NULL) {
            error = nipc_ip_to_asn_response_builder_unknown(response, ip);
            continue;
        }
        nipc_ip_to_asn_item_t item = NIPC_IP_TO_ASN_ITEM_INIT;
        item.ip = ip;
        item.asn = network->asn;
        item.as_name = nipc_str(network->as_name);
        item.country = nipc_str(network->country);
        error = nipc_ip_to_asn_response_builder_known(response, &item);
    }
    return error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: lookup_provider RUN_DIR\n", stderr);
        return 2;
    }
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_error_t error = nipc_ip_to_asn_server_init(&server, argv[1], NULL, 0, answer, NULL);
    if (error == NIPC_OK) {
        error = nipc_server_start(&server);
    }
    if (error != NIPC_OK) {
        fprintf(stderr, "cannot serve: %s: %s\n", nipc_error_name(error), nipc_last_error());
        return 1;
    }
    puts("serving " NIPC_IP_TO_ASN_SERVICE);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return nipc_server_destroy(&server) == NIPC_OK ? 0 : 1;
}
