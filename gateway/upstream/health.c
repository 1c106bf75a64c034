/* A patient for each server of an upstream's roster: a probe, a pause, the next probe. A run of
 * verdicts, not one, changes what all threads see of the server.
 * Called by upstreams.c when the control thread starts and stops, and by the lineup when servers
 * join or leave. It never speaks to a server itself. */
#include "upstream/health.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "upstream/probe.h"

enum {
    SPREAD_MS = 1000 /* the first checks of servers that come together are spread over this */
};

struct health {
    struct loop *loop;
    struct list_node wards;
};

/* One upstream. */
struct ward {
    struct list_node node;
    struct health *health;
    struct lineup *lineup;
    struct upstream_group *group;
    struct list_node patients;
};

/* One server of it. */
struct patient {
    struct list_node node;
    struct ward *ward;
    struct upstream_server *server;
    struct probe *probe;      /* under way, or NULL */
    struct loop_timer *timer; /* else until the next one */
    uint64_t good;            /* verdicts in a row */
    uint64_t bad;
    bool present; /* while the roster is compared */
};

static void check_later(struct patient *patient, uint64_t delay_ms);

/* --- verdicts --- */

static void take_good(struct patient *patient)
{
    struct upstream_group *group = patient->ward->group;
    struct upstream_server *server = patient->server;
    patient->bad = 0;
    patient->good++;
    if (patient->good < group->config->health_check->rise || atomic_load(&server->healthy)) {
        return;
    }
    log_info("health", "%s: server %s is healthy again", group->config->name, server->text);
    server_set_healthy(server, true, loop_now_ms(patient->ward->health->loop));
    group_wake(group);
}

static void take_bad(struct patient *patient, const char *why)
{
    struct upstream_group *group = patient->ward->group;
    struct upstream_server *server = patient->server;
    patient->good = 0;
    patient->bad++;
    if (patient->bad < group->config->health_check->fall || !atomic_load(&server->healthy)) {
        return;
    }
    log_warn("health", "%s: server %s is not healthy: %s", group->config->name, server->text, why);
    server_set_healthy(server, false, loop_now_ms(patient->ward->health->loop));
    group_wake(group); /* who waits for a slot of it, or sticks to it, may have to go elsewhere */
}

/* The pauses of many gateways must not fall into step, so each differs by up to a tenth. */
static uint64_t next_pause_ms(const struct patient *patient)
{
    uint64_t interval_ms = patient->ward->group->config->health_check->interval_ms;
    uint64_t tenth_ms = interval_ms / 10;
    return interval_ms - tenth_ms + (uint64_t)random() % (2 * tenth_ms + 1);
}

static void probed(void *context, bool good, const char *why)
{
    struct patient *patient = context;
    patient->probe = NULL;
    if (good) {
        take_good(patient);
    } else {
        take_bad(patient, why);
    }
    check_later(patient, next_pause_ms(patient));
}

/* --- the clock --- */

static void check(void *context)
{
    struct patient *patient = context;
    struct ward *ward = patient->ward;
    loop_timer_free(&patient->timer);
    if (atomic_load(&patient->server->state) == CONFIG_SERVER_DOWN) {
        patient->good = 0; /* nobody asks it; when it is up again a new run begins */
        patient->bad = 0;
        check_later(patient, next_pause_ms(patient));
        return;
    }
    patient->probe = probe_start(ward->health->loop, ward->group, patient->server, probed, patient);
    if (patient->probe == NULL) {
        check_later(patient,
                    next_pause_ms(patient)); /* no memory: that says nothing of the server */
    }
}

static void check_later(struct patient *patient, uint64_t delay_ms)
{
    patient->timer = loop_timer_new(patient->ward->health->loop, delay_ms, false, check, patient);
    if (patient->timer == NULL) {
        log_error("health", "server %s is not checked any more: no memory", patient->server->text);
    }
}

/* --- who is checked --- */

static void patient_free(struct patient *patient)
{
    probe_cancel(&patient->probe);
    loop_timer_free(&patient->timer);
    server_release(&patient->server);
    list_remove(&patient->node);
    free(patient);
}

static struct patient *patient_find(const struct ward *ward, const struct upstream_server *server)
{
    const struct list_node *head = &ward->patients;
    for (struct list_node *node = head->next; node != head; node = node->next) {
        struct patient *patient = list_item(node, struct patient, node);
        if (patient->server == server) {
            return patient;
        }
    }
    return NULL;
}

static void admit(struct ward *ward, struct upstream_server *server, uint64_t delay_ms)
{
    struct patient *patient = calloc(1, sizeof *patient);
    if (patient == NULL) {
        log_error("health", "server %s is not checked: no memory", server->text);
        return;
    }
    patient->ward = ward;
    patient->server = server_share(server);
    patient->present = true;
    list_append(&ward->patients, &patient->node);
    check_later(patient, delay_ms);
}

static void discharge_absent(struct ward *ward)
{
    struct list_node *head = &ward->patients;
    struct list_node *next = NULL;
    for (struct list_node *node = head->next; node != head; node = next) {
        struct patient *patient = list_item(node, struct patient, node);
        next = node->next;
        if (patient->present) {
            patient->present = false;
        } else {
            patient_free(patient);
        }
    }
}

/* The roster has changed: who is new in it is checked soon, who has left is not any more. */
static void compare(void *context)
{
    struct ward *ward = context;
    struct roster *roster = group_roster(ward->group);
    uint64_t interval_ms = ward->group->config->health_check->interval_ms;
    uint64_t spread_ms = interval_ms < SPREAD_MS ? interval_ms : SPREAD_MS;
    uint64_t new_ones = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct patient *patient = patient_find(ward, roster->servers[i]);
        if (patient != NULL) {
            patient->present = true;
        } else {
            admit(ward, roster->servers[i], new_ones++ * spread_ms / roster->count);
        }
    }
    discharge_absent(ward);
    roster_release(&roster);
}

/* --- all --- */

struct health *health_new(struct loop *loop)
{
    struct health *health = calloc(1, sizeof *health);
    if (health != NULL) {
        health->loop = loop;
        list_init(&health->wards);
    }
    return health;
}

enum weir_err health_add(struct health *health, struct lineup *lineup)
{
    struct upstream_group *group = lineup_group(lineup);
    if (group->config->health_check == NULL) {
        return WEIR_OK;
    }
    struct ward *ward = calloc(1, sizeof *ward);
    if (ward == NULL) {
        return WEIR_ENOMEM;
    }
    ward->health = health;
    ward->lineup = lineup;
    ward->group = group;
    list_init(&ward->patients);
    list_append(&health->wards, &ward->node);
    lineup_on_change(lineup, compare, ward);
    compare(ward);
    return WEIR_OK;
}

static void ward_free(struct ward *ward)
{
    lineup_on_change(ward->lineup, NULL, NULL);
    while (!list_is_empty(&ward->patients)) {
        patient_free(list_item(ward->patients.next, struct patient, node));
    }
    list_remove(&ward->node);
    free(ward);
}

void health_free(struct health **health)
{
    struct health *mine = *health;
    *health = NULL;
    if (mine == NULL) {
        return;
    }
    while (!list_is_empty(&mine->wards)) {
        ward_free(list_item(mine->wards.next, struct ward, node));
    }
    free(mine);
}
