#include "textflag.h"

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

// func lookAt(word *uint64, seen uint64, message *byte, times uint32) bool
TEXT ·lookAt(SB), NOSPLIT, $0-33
	MOVD	word+0(FP), R0
	MOVD	seen+8(FP), R1
	MOVD	message+16(FP), R2
	MOVWU	times+24(FP), R3
again:
	PRFM	(R2), PLDL1KEEP
	LDAR	(R0), R4
	CMP	R1, R4
	BNE	found
	YIELD
	SUBS	$1, R3, R3
	BNE	again
	MOVB	ZR, ret+32(FP)
	RET
found:
	MOVD	$1, R4
	MOVB	R4, ret+32(FP)
	RET
