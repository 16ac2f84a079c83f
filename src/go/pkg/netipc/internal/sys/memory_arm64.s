#include "textflag.h"

// func cpuPause()
TEXT ·cpuPause(SB), NOSPLIT, $0-0
	YIELD
	RET

// func storeRelease32(word *uint32, value uint32)
TEXT ·storeRelease32(SB), NOSPLIT, $0-12
	MOVD	word+0(FP), R0
	MOVWU	value+8(FP), R1
	STLRW	R1, (R0)
	RET

// func storeRelease64(word *uint64, value uint64)
TEXT ·storeRelease64(SB), NOSPLIT, $0-16
	MOVD	word+0(FP), R0
	MOVD	value+8(FP), R1
	STLR	R1, (R0)
	RET
