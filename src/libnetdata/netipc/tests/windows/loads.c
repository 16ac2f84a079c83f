/* A program without any C runtime loads netipc.dll by name, makes a call, and lets go of it.
 *
 * Usage: loads RUN_DIR NUMBER: asks increment, prints the answer. It is linked with nothing but kernel32: what
 * works here works in a program of any runtime, for nothing of one crosses into the library or back. */
#include <netipc/increment.h>

#include <windows.h>

/* The functions that are used, by the types of the header. */
struct library {
    __typeof__(&nipc_increment_client_init) init;
    __typeof__(&nipc_client_refresh) refresh;
    __typeof__(&nipc_increment_call) call;
    __typeof__(&nipc_client_close) close;
    __typeof__(&nipc_error_name) error_name;
    __typeof__(&nipc_last_error) last_error;
};

static void say(const char *words)
{
    DWORD written;
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), words, (DWORD)lstrlenA(words), &written, NULL);
}

static __attribute__((noreturn)) void fail(const char *what, const char *why)
{
    say(what);
    say(": ");
    say(why);
    say("\n");
    ExitProcess(1);
}

typedef void (*any_function_t)(void);

static any_function_t find(HMODULE dll, const char *name)
{
    FARPROC function = GetProcAddress(dll, name);
    if (function == NULL) {
        fail(name, "is not in the DLL");
    }
    return (any_function_t)function;
}

static struct library load(HMODULE dll)
{
    struct library library;
    library.init = (__typeof__(library.init))find(dll, "nipc_increment_client_init");
    library.refresh = (__typeof__(library.refresh))find(dll, "nipc_client_refresh");
    library.call = (__typeof__(library.call))find(dll, "nipc_increment_call");
    library.close = (__typeof__(library.close))find(dll, "nipc_client_close");
    library.error_name = (__typeof__(library.error_name))find(dll, "nipc_error_name");
    library.last_error = (__typeof__(library.last_error))find(dll, "nipc_last_error");
    return library;
}

static uint64_t ask(const struct library *library, const char *run_dir, uint64_t value)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_increment_request_t request = {value};
    nipc_increment_response_view_t answer;
    nipc_error_t error = library->init(&client, run_dir, NIPC_INCREMENT_SERVICE, NULL);
    if (error == NIPC_OK) {
        error = library->refresh(&client, NULL);
    }
    if (error == NIPC_OK) {
        error = library->call(&client, &request, &answer);
    }
    if (error != NIPC_OK) {
        fail(library->error_name(error), library->last_error());
    }
    if (library->close(&client) != NIPC_OK) {
        fail("close", library->last_error());
    }
    return answer.value;
}

static void say_number(uint64_t number)
{
    char digits[24], *at = digits + sizeof digits;
    *--at = '\0';
    *--at = '\n';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    say(at);
}

/* The next word of a command line without quotes; ends it with NUL. */
static char *next_word(char **line)
{
    while (**line == ' ') {
        ++*line;
    }
    char *word = *line;
    while (**line != ' ' && **line != '\0') {
        ++*line;
    }
    if (**line == ' ') {
        *(*line)++ = '\0';
    }
    return word;
}

/* Where the system begins: there is no main() without a runtime. */
void begin(void);
void begin(void)
{
    char *line = GetCommandLineA();
    next_word(&line);
    const char *run_dir = next_word(&line), *digits = next_word(&line);
    uint64_t number = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        number = number * 10 + (uint64_t)(*digits - '0');
    }
    HMODULE dll = LoadLibraryA("netipc.dll");
    if (dll == NULL) {
        fail("netipc.dll", "cannot be loaded");
    }
    struct library library = load(dll);
    number = ask(&library, run_dir, number);
    /* It stays: what it has begun may still be on its way. */
    if (!FreeLibrary(dll) || GetModuleHandleA("netipc.dll") != dll) {
        fail("netipc.dll", "is gone after FreeLibrary()");
    }
    say_number(ask(&library, run_dir, number));
    ExitProcess(0);
}
