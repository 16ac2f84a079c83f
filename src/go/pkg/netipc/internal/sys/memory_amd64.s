#include "textflag.h"

// func cpuPause()
TEXT ·cpuPause(SB), NOSPLIT, $0-0
	PAUSE
	RET

// func storeRelease32(word *uint32, value uint32)
TEXT ·storeRelease32(SB), NOSPLIT, $0-12
	MOVQ	word+0(FP), AX
	MOVL	value+8(FP), CX
	MOVL	CX, (AX)
	RET

// func storeRelease64(word *uint64, value uint64)
TEXT ·storeRelease64(SB), NOSPLIT, $0-16
	MOVQ	word+0(FP), AX
	MOVQ	value+8(FP), CX
	MOVQ	CX, (AX)
	RET
