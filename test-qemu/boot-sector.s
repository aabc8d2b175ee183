# SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The boot sector of a disk that is given to a guest. That it runs means that the guest's
 * firmware can read the disk. It reads the next sector, prints what it says on the first
 * serial port, writes it to the sector after that, and resets the guest.
 */
	.code16
	.globl _start
_start:
	ljmp	$0, $start
start:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$_start, %sp
	cld
	/* the drive, as firmware has left it */
	push	%dx
	mov	$packet, %si
	mov	$0x42, %ah
	int	$0x13
	jc	end

	mov	$text, %si
	mov	$0x3f8, %dx
next:
	lodsb
	test	%al, %al
	jz	write
	out	%al, %dx
	jmp	next

write:
	pop	%dx
	incb	sector
	mov	$packet, %si
	mov	$0x4300, %ax
	int	$0x13
end:
	mov	$0xfe, %al
	out	%al, $0x64
	hlt

	/* What int 13h, extended read and write, is told: one sector, to or from text */
packet:
	.byte	16, 0
	.word	1
	.word	text, 0
sector:
	.quad	1

	.org	510
	.word	0xaa55
	.equ	text, _start + 512
