/* Keeps the groups of cgroups-snapshot in a cache, and finds one of them.
 *
 * Usage: snapshot_consumer RUN_DIR HASH NAME */
#include <netipc/cgroups_snapshot.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: snapshot_consumer RUN_DIR HASH NAME\n", stderr);
        return 2;
    }
    uint32_t hash = (uint32_t)strtoul(argv[2], NULL, 10);
    nipc_cgroups_cache_t cache = {0, NULL};
    nipc_error_t error = nipc_cgroups_cache_init(&cache, argv[1], NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL);
    /* The owner says when; whatever a refresh meets, what the cache had before is kept. */
    if (error == NIPC_OK) {
        error = nipc_cgroups_cache_refresh(&cache);
    }
    if (error != NIPC_OK) {
        fprintf(stderr, "%s: %s\n", nipc_error_name(error), nipc_last_error());
        nipc_cgroups_cache_close(&cache);
        return 1;
    }

    /* Any thread reads so, and never waits: what the guard holds stays as it is. */
    nipc_cgroups_cache_guard_t guard = {0};
    nipc_cgroups_snapshot_item_view_t item;
    nipc_cgroups_cache_read_lock(&cache, &guard);
    printf("%zu groups\n", nipc_cgroups_cache_count(&guard));
    error = nipc_cgroups_cache_get(&guard, hash, nipc_str(argv[3]), &item);
    if (error == NIPC_OK) {
        printf("%s %s\n", item.name.ptr, item.path.ptr);
    } else {
        printf("%s\n", nipc_error_name(error));
    }
    nipc_cgroups_cache_read_unlock(&guard);
    nipc_cgroups_cache_close(&cache);
    return 0;
}
