/* The command line of the driver. */
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Profiles of the contract (spec section 4). */
#define SOCKET 1u
#define SHARED 2u
/* What every answer carries, unless another one is asked for. */
#define GENERATION 42

static const char *const SCENARIOS[] = {
    "ping-level1", "ping-level2", "reverse", "reverse-batch", "batch", "pipeline", "pipeline-batch",
    "pipeline-reverse", "pipeline-snapshot", "pipeline-cgroups-lookup", "pipeline-apps-lookup",
    "pipeline-asn-lookup", "snapshot", "snapshot-changing", "fetch", "cache", "cache-load", "cgroups-lookup",
    "apps-lookup", "asn-lookup", "codec-cgroups-lookup", "codec-apps-lookup", "idle",
};

bool plays(const struct options *options, const char *scenario) { return strcmp(options->scenario, scenario) == 0; }

static uint64_t number(const char *name, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-')
        fail("%s is no number: %s", name, text);
    return value;
}

static double decimal(const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0))
        fail("%s is no number: %s", name, text);
    return value;
}

static void take(struct options *o, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **place;
    } texts[] = {
        {"--scenario", &o->scenario}, {"--mix", &o->mix},         {"--transport", &o->transport},
        {"--run-dir", &o->run_dir},   {"--service", &o->service}, {"--cpus", &o->cpus},
        {"--after", &o->after},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].place = value;
            return;
        }
    if (strcmp(name, "--rate") == 0) {
        o->rate = strcmp(value, "max") == 0 ? 0 : decimal(name, value);
        if (o->rate <= 0 && strcmp(value, "max") != 0)
            fail("say max, or how many calls a second");
    } else if (strcmp(name, "--seconds") == 0)
        o->seconds = decimal(name, value);
    else if (strcmp(name, "--warmup-seconds") == 0)
        o->warmup_seconds = decimal(name, value);
    else if (strcmp(name, "--items") == 0)
        o->items = (size_t)number(name, value);
    else if (strcmp(name, "--bytes") == 0)
        o->bytes = (size_t)number(name, value);
    else if (strcmp(name, "--clients") == 0)
        o->clients = (size_t)number(name, value);
    else if (strcmp(name, "--workers") == 0)
        o->workers = (size_t)number(name, value);
    else if (strcmp(name, "--wrong-after") == 0)
        o->wrong_after = number(name, value);
    else if (strcmp(name, "--generation") == 0)
        o->generation = number(name, value);
    else if (strcmp(name, "--turns") == 0)
        o->turns = number(name, value);
    else if (strcmp(name, "--timeout-ms") == 0)
        o->timeout_ms = number(name, value);
    else if (strcmp(name, "--rest-us") == 0)
        o->rest_us = number(name, value);
    else if (strcmp(name, "--supported") == 0)
        o->supported = (uint32_t)number(name, value);
    else if (strcmp(name, "--preferred") == 0)
        o->preferred = (uint32_t)number(name, value);
    else if (strcmp(name, "--packet-bytes") == 0)
        o->packet_bytes = (uint32_t)number(name, value);
    else
        fail("unknown argument %s", name);
}

int main(int count, char **arguments) {
    const char *end = count > 1 ? arguments[1] : "";
    if (strcmp(end, "scenarios") == 0) {
        for (size_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++)
            puts(SCENARIOS[i]);
        return EXIT_SUCCESS;
    }
    struct options o = {
        .scenario = "", .mix = "known", .transport = "", .run_dir = "", .service = "", .cpus = "", .after = "",
        .items = 1, .clients = 1, .turns = 1, .seconds = 1, .generation = GENERATION, .wrong_after = UINT64_MAX,
    };
    for (int i = 2; i < count; i += 2) {
        if (i + 1 == count)
            fail("%s has no value", arguments[i]);
        take(&o, arguments[i], arguments[i + 1]);
    }
    if (o.supported == 0)
        o.supported = strcmp(o.transport, "shm") == 0 ? SOCKET | SHARED : SOCKET;
    if (o.preferred == 0)
        o.preferred = o.supported;
    settle_process(o.cpus);
    if (strcmp(end, "server") == 0)
        serve(&o);
    else if (strcmp(end, "client") == 0)
        call(&o);
    else if (strcmp(end, "check") == 0)
        check(&o);
    else if (strcmp(end, "endure") == 0)
        endure(&o);
    else
        fail("say scenarios, server, client, check or endure");
    return EXIT_SUCCESS;
}

void check_selected(const struct options *options, uint32_t profile) {
    uint32_t wanted = strcmp(options->transport, "shm") == 0 ? SHARED : SOCKET;
    if (profile != wanted)
        fail("asked for profile %u, but the session has %u", wanted, profile);
}
