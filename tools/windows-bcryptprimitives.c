/* Stands in for bcryptprimitives.dll, which Wine 8 lacks and programs made by today's Rust and Go load at
 * their start: its one function that they use, over what Wine has. tools/windows builds it into its prefix. */
#include <windows.h>

/* Fills with random bytes; RtlGenRandom by its exported name. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    while (length > 0) {
        ULONG piece = length > MAXLONG ? MAXLONG : (ULONG)length;
        if (!SystemFunction036(data, piece))
            return FALSE;
        data += piece;
        length -= piece;
    }
    return TRUE;
}
