#include "textflag.h"

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

// func lookAt(word *uint64, seen uint64, message *byte, times uint32) bool
TEXT ·lookAt(SB), NOSPLIT, $0-33
	MOVQ	word+0(FP), DI
	MOVQ	seen+8(FP), SI
	MOVQ	message+16(FP), BX
	MOVL	times+24(FP), CX
again:
	PREFETCHT0	(BX)
	MOVQ	(DI), AX
	CMPQ	AX, SI
	JNE	found
	PAUSE
	SUBL	$1, CX
	JNE	again
	MOVB	$0, ret+32(FP)
	RET
found:
	MOVB	$1, ret+32(FP)
	RET
