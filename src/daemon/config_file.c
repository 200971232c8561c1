/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file, read with libconfuse; its language is described in wormholed.conf(5). See
 * config.h. */
#include "daemon/config.h"

#include "base/log.h"
#include "base/util.h"

#include <confuse.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define MOST_SESSIONS 100000
#define MOST_SECONDS  86400

/* libconfuse knows the line now and only now: what is wrong is said at once. */
static void print_error(cfg_t *cfg, const char *format, va_list arguments)
{
    char text[300];
    (void)vsnprintf(text, sizeof(text), format, arguments);
    wh_log("%s:%d: %s", cfg && cfg->filename ? cfg->filename : "configuration", cfg ? cfg->line : 0,
           text);
}

/* ---- checks, called by libconfuse for each setting as it is read ---- */

static int check_size(cfg_t *cfg, cfg_opt_t *option)
{
    uint64_t size;
    if (wh_parse_size(cfg_opt_getnstr(option, 0), &size) == 0 && size > 0)
        return 0;
    cfg_error(cfg, "%s: '%s' is not a size; write it like 512M or 4G", cfg_opt_name(option),
              cfg_opt_getnstr(option, 0));
    return -1;
}

static int check_count(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, cfg_opt_size(option) - 1);
    if (value >= 1 && value <= MOST_SESSIONS)
        return 0;
    cfg_error(cfg, "%s: %ld is not a number from 1 to %d", cfg_opt_name(option), value,
              MOST_SESSIONS);
    return -1;
}

static int check_seconds(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, 0);
    if (value >= 1 && value <= MOST_SECONDS)
        return 0;
    cfg_error(cfg, "%s: %ld is not a number of seconds from 1 to %d", cfg_opt_name(option), value,
              MOST_SECONDS);
    return -1;
}

static int check_uid(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, cfg_opt_size(option) - 1);
    if (value >= 0 && value < UINT32_MAX)
        return 0;
    cfg_error(cfg, "%s: %ld is not a user id", cfg_opt_name(option), value);
    return -1;
}

static int check_mode(cfg_t *cfg, cfg_opt_t *option)
{
    const char *text = cfg_opt_getnstr(option, 0);
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (*text >= '0' && *text <= '7' && !*end && mode <= 0777)
        return 0;
    cfg_error(cfg, "%s: '%s' is not a mode; write it in octal, like \"0660\"", cfg_opt_name(option),
              text);
    return -1;
}

static int check_user(cfg_t *cfg, cfg_opt_t *option)
{
    const char *name = cfg_opt_getnstr(option, 0);
    if (getpwnam(name))
        return 0;
    cfg_error(cfg, "%s: there is no user '%s' on this machine; make one with useradd --system",
              cfg_opt_name(option), name);
    return -1;
}

static int check_absolute(cfg_t *cfg, cfg_opt_t *option)
{
    const char *path = cfg_opt_getnstr(option, cfg_opt_size(option) - 1);
    if (*path == '/' && strlen(path) < PATH_MAX)
        return 0;
    cfg_error(cfg, "%s: '%s' is not an absolute path", cfg_opt_name(option), path);
    return -1;
}

/* Takes the place of a check of the whole, which has no line: sections are read one by one. */
static int check_listen(cfg_t *cfg, cfg_opt_t *option)
{
    struct wh_config scratch = {0};
    struct wh_error error = {0};
    const char *url = cfg_opt_getnstr(option, cfg_opt_size(option) - 1);
    int result = wh_config_add_listen(&scratch, url, &error);
    wh_config_free(&scratch);
    if (result < 0)
        cfg_error(cfg, "%s: %s", cfg_opt_name(option), error.text);
    return result;
}

/* A size that was given; it has been checked. */
static void take_size(uint64_t *size, cfg_t *cfg, const char *name)
{
    if (cfg_getstr(cfg, name))
        (void)wh_parse_size(cfg_getstr(cfg, name), size);
}

static void fill_vm(cfg_t *section, struct wh_config_vm *vm)
{
    *vm =
        (struct wh_config_vm){.name = (char *)(uintptr_t)cfg_title(section),
                              .socket = cfg_getstr(section, "socket"),
                              .service = cfg_getstr(section, "service"),
                              .agent = cfg_getstr(section, "agent"),
                              .views = WH_DEFAULT_VIEWS,
                              .user = cfg_getstr(section, "user"),
                              .region = WH_DEFAULT_REGION,
                              .limits.max_sessions = (unsigned)cfg_getint(section, "max_sessions")};
    take_size(&vm->region, section, "region");
    take_size(&vm->views, section, "views");
    take_size(&vm->limits.session_memory, section, "session_memory");
    take_size(&vm->limits.worker_memory, section, "worker_memory");
}

static int check_vm(cfg_t *cfg, cfg_opt_t *option)
{
    struct wh_config scratch = {0};
    struct wh_config_vm vm;
    struct wh_error error = {0};
    fill_vm(cfg_opt_getnsec(option, cfg_opt_size(option) - 1), &vm);
    int result = wh_config_add_vm(&scratch, &vm, &error);
    wh_config_free(&scratch);
    if (result < 0)
        cfg_error(cfg, "%s", error.text);
    return result;
}

/* ---- taking over ---- */

static int take_string(char **place, cfg_t *cfg, const char *name)
{
    char *value = cfg_getstr(cfg, name);
    if (!value)
        return 0;
    free(*place);
    *place = strdup(value);
    return *place ? 0 : -1;
}

static int take_paths(struct wh_paths *paths, cfg_t *cfg, const char *name)
{
    unsigned count = cfg_size(cfg, name);
    paths->paths = calloc(count + 1, sizeof(*paths->paths));
    for (unsigned i = 0; paths->paths && i < count; i++)
        if ((paths->paths[i] = strdup(cfg_getnstr(cfg, name, i))))
            paths->count++;
    return paths->count == count ? 0 : -1;
}

static int take_tenant(struct wh_config *config, cfg_t *section)
{
    struct wh_config_tenant *tenants =
        realloc(config->tenants, (config->ntenants + 1) * sizeof(*tenants));
    if (!tenants)
        return -1;
    config->tenants = tenants;
    struct wh_config_tenant *tenant = &tenants[config->ntenants++];
    *tenant = (struct wh_config_tenant){.name = strdup(cfg_title(section)),
                                        .nuids = cfg_size(section, "uid"),
                                        .limits.max_sessions =
                                            (unsigned)cfg_getint(section, "max_sessions")};
    take_size(&tenant->limits.session_memory, section, "session_memory");
    take_size(&tenant->limits.worker_memory, section, "worker_memory");
    tenant->uids = calloc(tenant->nuids + 1, sizeof(*tenant->uids));
    if (!tenant->name || !tenant->uids)
        return -1;
    for (unsigned i = 0; i < tenant->nuids; i++)
        tenant->uids[i] = (uid_t)cfg_getnint(section, "uid", i);
    return 0;
}

static int take_sections(struct wh_config *config, cfg_t *cfg, struct wh_error *error)
{
    for (unsigned i = 0; i < cfg_size(cfg, "tenant"); i++)
        if (take_tenant(config, cfg_getnsec(cfg, "tenant", i)) < 0)
            return wh_error_set(error, ENOMEM, "out of memory");
    for (unsigned i = 0; i < cfg_size(cfg, "vm"); i++) {
        struct wh_config_vm vm;
        fill_vm(cfg_getnsec(cfg, "vm", i), &vm);
        if (wh_config_add_vm(config, &vm, error) < 0)
            return -1;
    }
    return 0;
}

static int take_all(struct wh_config *config, cfg_t *cfg, struct wh_error *error)
{
    for (unsigned i = 0; i < cfg_size(cfg, "listen"); i++)
        if (wh_config_add_listen(config, cfg_getnstr(cfg, "listen", i), error) < 0)
            return -1;
    if (take_string(&config->worker_user, cfg, "worker_user") < 0 ||
        take_string(&config->state_dir, cfg, "state_dir") < 0 ||
        take_string(&config->admin, cfg, "admin") < 0 ||
        take_paths(&config->worker_reads, cfg, "worker_reads") < 0 ||
        take_paths(&config->worker_writes, cfg, "worker_writes") < 0)
        return wh_error_set(error, ENOMEM, "out of memory");
    if (cfg_getstr(cfg, "worker"))
        (void)snprintf(config->worker, sizeof(config->worker), "%s", cfg_getstr(cfg, "worker"));
    if (cfg_getstr(cfg, "socket_mode"))
        config->socket_mode = (mode_t)strtoul(cfg_getstr(cfg, "socket_mode"), NULL, 8);
    if (cfg_getint(cfg, "max_sessions"))
        config->limits.max_sessions = (unsigned)cfg_getint(cfg, "max_sessions");
    if (cfg_getint(cfg, "stall_timeout"))
        config->stall_ms = (unsigned)cfg_getint(cfg, "stall_timeout") * 1000u;
    take_size(&config->limits.session_memory, cfg, "session_memory");
    take_size(&config->limits.worker_memory, cfg, "worker_memory");
    return take_sections(config, cfg, error);
}

static void set_checks(cfg_t *cfg)
{
    static const struct {
        const char *name;
        int (*check)(cfg_t *cfg, cfg_opt_t *option);
    } checks[] = {
        {"listen", check_listen},
        {"socket_mode", check_mode},
        {"worker", check_absolute},
        {"worker_user", check_user},
        {"state_dir", check_absolute},
        {"admin", check_absolute},
        {"worker_reads", check_absolute},
        {"worker_writes", check_absolute},
        {"session_memory", check_size},
        {"worker_memory", check_size},
        {"max_sessions", check_count},
        {"stall_timeout", check_seconds},
        {"tenant|uid", check_uid},
        {"tenant|max_sessions", check_count},
        {"tenant|session_memory", check_size},
        {"tenant|worker_memory", check_size},
        {"vm", check_vm},
        {"vm|user", check_user},
        {"vm|region", check_size},
        {"vm|views", check_size},
        {"vm|max_sessions", check_count},
        {"vm|session_memory", check_size},
        {"vm|worker_memory", check_size},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        cfg_set_validate_func(cfg, checks[i].name, checks[i].check);
}

int wh_config_read(struct wh_config *config, const char *path, struct wh_error *error)
{
    cfg_opt_t tenant[] = {CFG_INT_LIST("uid", NULL, CFGF_NONE),
                          CFG_INT("max_sessions", 0, CFGF_NONE),
                          CFG_STR("session_memory", NULL, CFGF_NONE),
                          CFG_STR("worker_memory", NULL, CFGF_NONE), CFG_END()};
    cfg_opt_t vm[] = {
        CFG_STR("socket", NULL, CFGF_NONE),        CFG_STR("service", NULL, CFGF_NONE),
        CFG_STR("agent", NULL, CFGF_NONE),         CFG_STR("views", NULL, CFGF_NONE),
        CFG_STR("user", NULL, CFGF_NONE),          CFG_STR("region", NULL, CFGF_NONE),
        CFG_INT("max_sessions", 0, CFGF_NONE),     CFG_STR("session_memory", NULL, CFGF_NONE),
        CFG_STR("worker_memory", NULL, CFGF_NONE), CFG_END()};
    cfg_opt_t options[] = {CFG_STR_LIST("listen", NULL, CFGF_NONE),
                           CFG_STR("socket_mode", NULL, CFGF_NONE),
                           CFG_STR("session_memory", NULL, CFGF_NONE),
                           CFG_INT("max_sessions", 0, CFGF_NONE),
                           CFG_STR("worker_memory", NULL, CFGF_NONE),
                           CFG_STR("worker", NULL, CFGF_NONE),
                           CFG_STR("worker_user", NULL, CFGF_NONE),
                           CFG_STR_LIST("worker_reads", NULL, CFGF_NONE),
                           CFG_STR_LIST("worker_writes", NULL, CFGF_NONE),
                           CFG_STR("state_dir", NULL, CFGF_NONE),
                           CFG_STR("admin", NULL, CFGF_NONE),
                           CFG_INT("stall_timeout", 0, CFGF_NONE),
                           CFG_SEC("tenant", tenant, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                           CFG_SEC("vm", vm, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
                           CFG_END()};
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (!cfg)
        return wh_error_set(error, ENOMEM, "out of memory");
    cfg_set_error_function(cfg, print_error);
    set_checks(cfg);
    int parsed = cfg_parse(cfg, path);
    int result = 0;
    if (parsed == CFG_FILE_ERROR)
        result = wh_error_set(error, errno, "cannot read %s: %s", path, strerror(errno));
    else if (parsed != CFG_SUCCESS)
        result = wh_error_set(error, EINVAL, "%s is not valid; see wormholed.conf(5)", path);
    else
        result = take_all(config, cfg, error);
    cfg_free(cfg);
    return result;
}
