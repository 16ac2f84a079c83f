/* What providers know and clients expect: made from an index, so that both ends have it without asking. */
#include "driver.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#endif
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A pid that is known is this one plus the item's index; an unknown one comes after all of those. */
#define FIRST_PID 1000u
#define FIRST_UNKNOWN_PID 10000000u
/* The same of addresses: the networks 10.0.0.0/8 and 11.0.0.0/8. */
#define FIRST_IP (10u << 24)
#define FIRST_UNKNOWN_IP (11u << 24)
/* Knuth's multiplicative hash: spreads indices over 32 bits. */
#define HASH_FACTOR 2654435761u
/* More than any text here has but a long name. */
#define MOST_BYTES 128
#define KNOWN_PATH "/system.slice/docker-"

#define STR(literal) {literal, sizeof literal - 1}

const nipc_label_t LABEL[LABELS] = {
    {STR("key-0001"), STR("value-0123456789")},
    {STR("key-0002"), STR("value-9876543210")},
};

const nipc_str_t COUNTRY = STR("GR");

static bool is(const char *mix, const char *name) { return strcmp(mix, name) == 0; }

/* A text that is kept until the end. */
static nipc_str_t text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static nipc_str_t text(const char *format, ...) {
    char room[MOST_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(room, sizeof room, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof room)
        fail("a text is too long: %s", format);
    char *kept = memory((size_t)len + 1, 1);
    memcpy(kept, room, (size_t)len);
    return (nipc_str_t){kept, (size_t)len};
}

size_t label_count(const struct options *options) { return is(options->mix, "plain") ? 0 : LABELS; }

struct group *make_groups(size_t count) {
    struct group *groups = memory(count, sizeof *groups);
    for (size_t i = 0; i < count; i++) {
        struct group *group = &groups[i];
        group->hash = (uint32_t)i * HASH_FACTOR;
        group->options = (uint32_t)i % 7;
        group->enabled = (uint32_t)i % 2;
        group->name = text("docker-%06u", (unsigned)i);
        group->path = text("/sys/fs/cgroup/system.slice/docker-%06u.scope", (unsigned)i);
    }
    return groups;
}

/* The alphabet, again and again. */
static nipc_str_t long_name(size_t bytes) {
    char *name = memory(bytes + 1, 1);
    for (size_t i = 0; i < bytes; i++)
        name[i] = (char)('a' + i % 26);
    return (nipc_str_t){name, bytes};
}

struct thing *make_things(const struct options *options) {
    const char *mix = options->mix;
    bool all = is(mix, "known") || is(mix, "plain") || is(mix, "long");
    struct thing *things = memory(options->items, sizeof *things);
    for (size_t i = 0; i < options->items; i++) {
        struct thing *thing = &things[i];
        unsigned index = (unsigned)i;
        thing->known = all || (is(mix, "mixed") && i % 2 == 0);
        thing->path = text("/system.slice/%s-%06u", thing->known ? "docker" : "absent", index);
        thing->comm = text("comm-%05u", index);
        thing->name = text("name-%05u", index);
        thing->pid = index + (thing->known ? FIRST_PID : FIRST_UNKNOWN_PID);
        struct in_addr ip = {.s_addr = htonl(index + (thing->known ? FIRST_IP : FIRST_UNKNOWN_IP))};
        char dotted[INET_ADDRSTRLEN];
        thing->ip = text("%s", inet_ntop(AF_INET, &ip, dotted, sizeof dotted));
    }
    if (is(mix, "long") && options->items > 0)
        things[0].name = long_name(options->bytes);
    return things;
}

/* By its last digits: a provider's table, at its cheapest. */
const struct thing *of_path(const struct thing *things, size_t count, nipc_str_t path) {
    const size_t prefix = sizeof KNOWN_PATH - 1;
    if (path.len < prefix || memcmp(path.ptr, KNOWN_PATH, prefix) != 0)
        return NULL;
    size_t index = 0;
    for (size_t i = prefix; i < path.len; i++) {
        unsigned digit = (unsigned char)path.ptr[i] - (unsigned)'0';
        if (digit > 9)
            return NULL;
        index = index * 10 + digit;
    }
    return index < count ? &things[index] : NULL;
}

const struct thing *of_pid(const struct thing *things, size_t count, uint32_t pid) {
    return pid >= FIRST_PID && pid < FIRST_UNKNOWN_PID && pid - FIRST_PID < count ? &things[pid - FIRST_PID] : NULL;
}

const struct thing *of_ip(const struct thing *things, size_t count, nipc_str_t ip) {
    struct in_addr address;
    char dotted[INET_ADDRSTRLEN];
    if (ip.len >= sizeof dotted)
        return NULL;
    memcpy(dotted, ip.ptr, ip.len);
    dotted[ip.len] = 0;
    if (inet_pton(AF_INET, dotted, &address) != 1)
        return NULL;
    uint32_t number = ntohl(address.s_addr);
    return number >= FIRST_IP && number < FIRST_UNKNOWN_IP && number - FIRST_IP < count ? &things[number - FIRST_IP]
                                                                                         : NULL;
}

bool same(nipc_str_t given, nipc_str_t expected) {
    return given.len == expected.len && memcmp(given.ptr, expected.ptr, expected.len) == 0;
}
