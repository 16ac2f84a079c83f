/* What netipc.dll has beside libnetipc: it stays once it is loaded.
 *
 * Threads that have ended a server are still on their way out, and the system's thread pool may be about to
 * call the library, when a FreeLibrary() would take their code away. */
#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved)
{
    (void)reserved;
    HMODULE pinned;
    if (reason != DLL_PROCESS_ATTACH) {
        return TRUE;
    }
    return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (LPCWSTR)(void *)self,
                              &pinned);
}
