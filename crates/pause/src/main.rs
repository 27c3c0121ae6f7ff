//! The process that holds a pod's namespaces: upstream's `build/pause/linux/pause.c`.
//!
//! It does two things as process 1: it reaps the orphans that its namespace inherits, and it ends when it is told to.
//! It needs neither a C library nor an allocator, so the whole image is under a kilobyte.
//!
//! ```text
//!   block every signal ──► wait for one ──┬─ SIGCHLD ──────────► reap until no child has ended ──► wait again
//!                                         ├─ SIGINT, SIGTERM ──► exit 0
//!                                         └─ any other ────────► wait again
//! ```
//!
//! The kernel drops signals for process 1 that have no handler, but never blocked ones: they queue for
//! `rt_sigtimedwait`. That spares handlers, and with them the signal trampoline that only a C library has.

#![no_std]
#![no_main]
// The one crate with `unsafe`: system calls are all it consists of.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

const SIG_INT: usize = 2;
const SIG_TERM: usize = 15;
const SIG_CHLD: usize = 17;
const SIG_BLOCK: usize = 0;
const W_NOHANG: usize = 1;
/// The size of the kernel's signal set, in bytes.
const SIG_SET_SIZE: usize = 8;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const RT_SIGPROCMASK: usize = 14;
    pub const WAIT4: usize = 61;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const EXIT_GROUP: usize = 231;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const RT_SIGPROCMASK: usize = 135;
    pub const WAIT4: usize = 260;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const EXIT_GROUP: usize = 94;
}

// The kernel jumps here with the arguments on the stack and no return address: align the stack and never come back.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor %ebp, %ebp", "and $-16, %rsp", "call {main}", "ud2", main = sym pause, options(att_syntax));
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "bl {main}", "brk #1", main = sym pause);

/// One system call with up to four arguments; negative results are error numbers.
///
/// # Safety
/// The arguments must be what the call expects: pointers valid for what it reads and writes.
unsafe fn syscall(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's calling convention; it changes rcx and r11 besides rax, and memory only through the pointers.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel's calling convention; it changes x0 only, and memory only through the pointers.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d, options(nostack));
    }
    result
}

extern "C" fn pause() -> ! {
    let all: u64 = !0;
    let set = &raw const all as usize;
    // SAFETY: `set` points to a signal set that outlives both calls; null means that nothing is written back.
    unsafe { syscall(number::RT_SIGPROCMASK, SIG_BLOCK, set, 0, SIG_SET_SIZE) };
    loop {
        // SAFETY: as above; no info, no timeout.
        let signal = unsafe { syscall(number::RT_SIGTIMEDWAIT, set, 0, 0, SIG_SET_SIZE) };
        match usize::try_from(signal) {
            Ok(SIG_CHLD) => reap(),
            Ok(SIG_INT | SIG_TERM) => exit(),
            _ => {}
        }
    }
}

/// Takes the status of every child that has ended.
fn reap() {
    // SAFETY: any child (-1), no status and no usage written.
    while unsafe { syscall(number::WAIT4, usize::MAX, 0, W_NOHANG, 0) } > 0 {}
}

fn exit() -> ! {
    loop {
        // SAFETY: takes no pointers and does not return.
        unsafe { syscall(number::EXIT_GROUP, 0, 0, 0, 0) };
    }
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    exit()
}
