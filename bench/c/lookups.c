/*
 * The lookup services: what a thing is asked by, how a provider answers, what an answer must be; and their
 * codecs in process.
 */
#include "driver.h"

#include <stdlib.h>

/* Bytes of a key or an item, and more. */
#define ITEM_BYTES 512
#define HEADER_BYTES 1024
/* Items that are coded before the clock is looked at, about. */
#define ITEMS_PER_TURN 256

/* Handlers: each answers every key, as a provider with a table does, and stops where the answer is full. */

nipc_error_t answer_cgroups(const struct options *options, const struct thing *things,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response) {
    size_t labels = label_count(options);
    for (size_t i = 0; i < request->count && !nipc_cgroups_lookup_response_builder_is_full(response); i++) {
        nipc_str_t path;
        nipc_error_t error = nipc_cgroups_lookup_request_view_key(request, i, &path);
        if (error != NIPC_OK)
            return error;
        const struct thing *thing = of_path(things, options->items, path);
        if (thing) {
            nipc_cgroups_lookup_item_t item = NIPC_CGROUPS_LOOKUP_ITEM_INIT;
            item.path = path;
            item.orchestrator = NIPC_CGROUPS_LOOKUP_ORCHESTRATOR_DOCKER;
            item.name = thing->name;
            item.labels = LABEL;
            item.label_count = labels;
            error = nipc_cgroups_lookup_response_builder_known(response, &item);
        } else {
            error = nipc_cgroups_lookup_response_builder_unknown_permanent(response, path);
        }
        if (error != NIPC_OK)
            return error;
    }
    return NIPC_OK;
}

nipc_error_t answer_apps(const struct options *options, const struct thing *things,
                         const nipc_apps_lookup_request_view_t *request,
                         nipc_apps_lookup_response_builder_t *response) {
    size_t labels = label_count(options);
    for (size_t i = 0; i < request->count && !nipc_apps_lookup_response_builder_is_full(response); i++) {
        uint32_t pid;
        nipc_error_t error = nipc_apps_lookup_request_view_key(request, i, &pid);
        if (error != NIPC_OK)
            return error;
        const struct thing *thing = of_pid(things, options->items, pid);
        if (thing) {
            nipc_apps_lookup_item_t item = NIPC_APPS_LOOKUP_ITEM_INIT;
            item.pid = pid;
            item.orchestrator = NIPC_APPS_LOOKUP_ORCHESTRATOR_DOCKER;
            item.ppid = 1;
            item.uid = pid;
            item.starttime = pid;
            item.comm = thing->comm;
            item.cgroup_path = thing->path;
            item.cgroup_name = thing->name;
            item.labels = LABEL;
            item.label_count = labels;
            error = nipc_apps_lookup_response_builder_known(response, &item);
        } else {
            error = nipc_apps_lookup_response_builder_unknown(response, pid);
        }
        if (error != NIPC_OK)
            return error;
    }
    return NIPC_OK;
}

/* The number of a known address's system is the pid of the thing, its name the thing's. */
nipc_error_t answer_asns(const struct thing *things, size_t count, const nipc_ip_to_asn_request_view_t *request,
                         nipc_ip_to_asn_response_builder_t *response) {
    for (size_t i = 0; i < request->count && !nipc_ip_to_asn_response_builder_is_full(response); i++) {
        nipc_str_t ip;
        nipc_error_t error = nipc_ip_to_asn_request_view_key(request, i, &ip);
        if (error != NIPC_OK)
            return error;
        const struct thing *thing = of_ip(things, count, ip);
        if (thing) {
            nipc_ip_to_asn_item_t item = NIPC_IP_TO_ASN_ITEM_INIT;
            item.ip = ip;
            item.asn = thing->pid;
            item.as_name = thing->name;
            item.country = COUNTRY;
            error = nipc_ip_to_asn_response_builder_known(response, &item);
        } else {
            error = nipc_ip_to_asn_response_builder_unknown(response, ip);
        }
        if (error != NIPC_OK)
            return error;
    }
    return NIPC_OK;
}

/* What items must be. */

static bool has_labels(const nipc_labels_view_t *given, size_t expected) {
    if (given->count != expected)
        return false;
    for (size_t i = 0; i < expected; i++) {
        nipc_label_t label;
        must(nipc_labels_view_get(given, i, &label), "a label");
        if (!same(label.key, LABEL[i].key) || !same(label.value, LABEL[i].value))
            return false;
    }
    return true;
}

bool right_cgroup(const nipc_cgroups_lookup_item_view_t *item, const struct thing *thing, size_t labels) {
    if (!same(item->path, thing->path))
        return false;
    if (!thing->known)
        return item->status == NIPC_CGROUPS_LOOKUP_STATUS_UNKNOWN_PERMANENT && item->name.len == 0 &&
               item->labels.count == 0;
    return item->status == NIPC_CGROUPS_LOOKUP_STATUS_KNOWN &&
           item->orchestrator == NIPC_CGROUPS_LOOKUP_ORCHESTRATOR_DOCKER && same(item->name, thing->name) &&
           has_labels(&item->labels, labels);
}

bool right_app(const nipc_apps_lookup_item_view_t *item, const struct thing *thing, size_t labels) {
    if (item->pid != thing->pid)
        return false;
    if (!thing->known)
        return item->status == NIPC_APPS_LOOKUP_STATUS_UNKNOWN && item->uid == UINT32_MAX && item->comm.len == 0 &&
               item->labels.count == 0;
    return item->status == NIPC_APPS_LOOKUP_STATUS_KNOWN &&
           item->cgroup_status == NIPC_APPS_LOOKUP_CGROUP_STATUS_KNOWN &&
           item->orchestrator == NIPC_APPS_LOOKUP_ORCHESTRATOR_DOCKER && item->ppid == 1 && item->uid == thing->pid &&
           item->starttime == thing->pid && same(item->comm, thing->comm) && same(item->cgroup_path, thing->path) &&
           same(item->cgroup_name, thing->name) && has_labels(&item->labels, labels);
}

bool right_asn(const nipc_ip_to_asn_item_view_t *item, const struct thing *thing) {
    if (!same(item->ip, thing->ip))
        return false;
    if (!thing->known)
        return item->status == NIPC_IP_TO_ASN_STATUS_UNKNOWN && item->asn == 0 && item->as_name.len == 0;
    return item->status == NIPC_IP_TO_ASN_STATUS_KNOWN && item->asn == thing->pid &&
           same(item->as_name, thing->name) && same(item->country, COUNTRY);
}

/* Clients: look all things up, each turn. */

struct lookups {
    struct caller caller;
    nipc_client_ctx_t client;
    const struct options *options;
    const struct thing *things;
    /* Of one of these, as the service asks. */
    nipc_str_t *texts;
    uint32_t *pids;
    uint64_t generation;
};

static _Noreturn void other_item(size_t index) {
    fail("wrong answer: item of the lookup %zu is another than it must be", index);
}

static void check_head(const struct lookups *l, uint64_t generation, size_t count) {
    if (generation != l->generation)
        wrong("the generation", l->generation, generation);
    if (count != l->options->items)
        wrong("how many keys", l->options->items, count);
}

/* Reading the status takes longer than a short lookup: what lookups were split into is asked for afterwards. */
static void count_lookup(struct lookups *l) {
    l->caller.answered.calls++;
    l->caller.answered.items += l->options->items;
}

static void lookups_settle(struct caller *caller) {
    nipc_client_status_t status;
    must(nipc_client_status(&((struct lookups *)caller)->client, &status), "status");
    caller->answered.requests = status.counters.sub_calls;
}

static void lookups_expect(struct caller *caller, uint64_t generation) {
    ((struct lookups *)caller)->generation = generation;
}

static uint64_t cgroups_turn(struct caller *caller) {
    struct lookups *l = (struct lookups *)caller;
    nipc_cgroups_lookup_answer_view_t answer;
    must(nipc_cgroups_lookup_call(&l->client, l->texts, l->options->items, &answer), "a lookup of cgroups");
    check_head(l, answer.generation, answer.count);
    size_t labels = label_count(l->options);
    for (size_t i = 0; i < answer.count; i++) {
        nipc_cgroups_lookup_item_view_t item;
        must(nipc_cgroups_lookup_answer_view_item(&answer, i, &item), "an item of a lookup");
        if (!right_cgroup(&item, &l->things[i], labels))
            other_item(i);
    }
    count_lookup(l);
    return 0;
}

static uint64_t apps_turn(struct caller *caller) {
    struct lookups *l = (struct lookups *)caller;
    nipc_apps_lookup_answer_view_t answer;
    must(nipc_apps_lookup_call(&l->client, l->pids, l->options->items, &answer), "a lookup of apps");
    check_head(l, answer.generation, answer.count);
    size_t labels = label_count(l->options);
    for (size_t i = 0; i < answer.count; i++) {
        nipc_apps_lookup_item_view_t item;
        must(nipc_apps_lookup_answer_view_item(&answer, i, &item), "an item of a lookup");
        if (!right_app(&item, &l->things[i], labels))
            other_item(i);
    }
    count_lookup(l);
    return 0;
}

static uint64_t asn_turn(struct caller *caller) {
    struct lookups *l = (struct lookups *)caller;
    nipc_ip_to_asn_answer_view_t answer;
    must(nipc_ip_to_asn_call(&l->client, l->texts, l->options->items, &answer), "a lookup of addresses");
    check_head(l, answer.generation, answer.count);
    for (size_t i = 0; i < answer.count; i++) {
        nipc_ip_to_asn_item_view_t item;
        must(nipc_ip_to_asn_answer_view_item(&answer, i, &item), "an item of a lookup");
        if (!right_asn(&item, &l->things[i]))
            other_item(i);
    }
    count_lookup(l);
    return 0;
}

typedef nipc_error_t (*client_init)(nipc_client_ctx_t *, const char *, const char *, const nipc_client_config_t *);

static struct lookups *make_lookups(const struct options *o, client_init init, uint64_t (*turn)(struct caller *)) {
    struct lookups *l = memory(1, sizeof *l);
    l->caller = (struct caller){
        .turn = turn, .settle = lookups_settle, .expect_generation = lookups_expect, .per_turn = 1};
    l->options = o;
    l->things = make_things(o);
    l->generation = o->generation;
    nipc_client_config_t config = client_config(o);
    must(init(&l->client, o->run_dir, o->service, &config), "a client of lookups");
    connected(o, &l->client);
    return l;
}

struct caller *make_cgroups_lookups(const struct options *o) {
    struct lookups *l = make_lookups(o, nipc_cgroups_lookup_client_init, cgroups_turn);
    l->texts = memory(o->items, sizeof *l->texts);
    for (size_t i = 0; i < o->items; i++)
        l->texts[i] = l->things[i].path;
    return &l->caller;
}

struct caller *make_apps_lookups(const struct options *o) {
    struct lookups *l = make_lookups(o, nipc_apps_lookup_client_init, apps_turn);
    l->pids = memory(o->items, sizeof *l->pids);
    for (size_t i = 0; i < o->items; i++)
        l->pids[i] = l->things[i].pid;
    return &l->caller;
}

struct caller *make_asn_lookups(const struct options *o) {
    struct lookups *l = make_lookups(o, nipc_ip_to_asn_client_init, asn_turn);
    l->texts = memory(o->items, sizeof *l->texts);
    for (size_t i = 0; i < o->items; i++)
        l->texts[i] = l->things[i].ip;
    return &l->caller;
}

/* Codecs in process: a request decoded, its answer built, checked and read, all of it. */

struct codec {
    struct caller caller;
    const struct options *options;
    const struct thing *things;
    unsigned char *request, *out;
    size_t request_len, room;
    void (*once)(struct codec *codec);
};

static void check_coded(bool right) {
    if (!right)
        fail("the codec wrote another answer than it must");
}

static void cgroups_once(struct codec *c) {
    nipc_cgroups_lookup_request_view_t request;
    nipc_cgroups_lookup_response_builder_t builder = {0};
    nipc_cgroups_lookup_response_view_t answer;
    size_t len, labels = label_count(c->options);
    must(nipc_cgroups_lookup_request_decode(c->request, c->request_len, &request), "a request");
    must(nipc_cgroups_lookup_response_builder_init(&builder, &request, c->out, c->room, true), "a builder");
    must(nipc_cgroups_lookup_response_builder_generation(&builder, c->options->generation), "a generation");
    must(answer_cgroups(c->options, c->things, &request, &builder), "an answer");
    must(nipc_cgroups_lookup_response_builder_finish(&builder, &len), "an answer");
    must(nipc_cgroups_lookup_response_decode(c->out, len, &answer), "an answer");
    check_coded(answer.generation == c->options->generation && answer.count == c->options->items);
    for (size_t i = 0; i < answer.count; i++) {
        nipc_cgroups_lookup_item_view_t item;
        must(nipc_cgroups_lookup_response_view_item(&answer, i, &item), "an item");
        check_coded(right_cgroup(&item, &c->things[i], labels));
    }
}

static void apps_once(struct codec *c) {
    nipc_apps_lookup_request_view_t request;
    nipc_apps_lookup_response_builder_t builder = {0};
    nipc_apps_lookup_response_view_t answer;
    size_t len, labels = label_count(c->options);
    must(nipc_apps_lookup_request_decode(c->request, c->request_len, &request), "a request");
    must(nipc_apps_lookup_response_builder_init(&builder, &request, c->out, c->room, true), "a builder");
    must(nipc_apps_lookup_response_builder_generation(&builder, c->options->generation), "a generation");
    must(answer_apps(c->options, c->things, &request, &builder), "an answer");
    must(nipc_apps_lookup_response_builder_finish(&builder, &len), "an answer");
    must(nipc_apps_lookup_response_decode(c->out, len, &answer), "an answer");
    check_coded(answer.generation == c->options->generation && answer.count == c->options->items);
    for (size_t i = 0; i < answer.count; i++) {
        nipc_apps_lookup_item_view_t item;
        must(nipc_apps_lookup_response_view_item(&answer, i, &item), "an item");
        check_coded(right_app(&item, &c->things[i], labels));
    }
}

static uint64_t codec_turn(struct caller *caller) {
    struct codec *c = (struct codec *)caller;
    for (uint32_t i = 0; i < caller->per_turn; i++)
        c->once(c);
    caller->answered.calls += caller->per_turn;
    caller->answered.items += caller->per_turn * c->options->items;
    return 0;
}

static struct codec *make_codec(const struct options *o, void (*once)(struct codec *)) {
    struct codec *c = memory(1, sizeof *c);
    /* One a turn, but where the clock would be looked at too often. */
    size_t per_turn = o->items > 0 ? ITEMS_PER_TURN / o->items : ITEMS_PER_TURN;
    c->caller = (struct caller){.turn = codec_turn, .per_turn = per_turn > 0 ? (uint32_t)per_turn : 1};
    c->options = o;
    c->things = make_things(o);
    c->room = HEADER_BYTES + o->items * ITEM_BYTES;
    c->request = memory(c->room, 1);
    c->out = memory(c->room, 1);
    c->once = once;
    return c;
}

struct caller *make_cgroups_codec(const struct options *o) {
    struct codec *c = make_codec(o, cgroups_once);
    nipc_cgroups_lookup_request_builder_t builder = {0};
    must(nipc_cgroups_lookup_request_builder_init(&builder, c->request, c->room, o->items), "a builder");
    for (size_t i = 0; i < o->items; i++)
        must(nipc_cgroups_lookup_request_builder_push(&builder, c->things[i].path), "a key");
    must(nipc_cgroups_lookup_request_builder_finish(&builder, &c->request_len), "a request");
    return &c->caller;
}

struct caller *make_apps_codec(const struct options *o) {
    struct codec *c = make_codec(o, apps_once);
    nipc_apps_lookup_request_builder_t builder = {0};
    must(nipc_apps_lookup_request_builder_init(&builder, c->request, c->room, o->items), "a builder");
    for (size_t i = 0; i < o->items; i++)
        must(nipc_apps_lookup_request_builder_push(&builder, c->things[i].pid), "a key");
    must(nipc_apps_lookup_request_builder_finish(&builder, &c->request_len), "a request");
    return &c->caller;
}
