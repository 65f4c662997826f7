// A plugin of QEMU 7.2's user mode that counts what a program executes. The counts lie in a
// file that is mapped into memory, so that a bench can read them while the program runs:
//
//   cc -shared -fPIC -O2 -o counter.so counter.c
//   qemu-aarch64 -plugin counter.so,counts=COUNTS PROGRAM
//
// COUNTS holds two numbers of 64 bits in the machine's own order: instructions in user mode
// and system calls, of all threads.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The part of QEMU's interface for plugins, version 1, that is used here. Debian has no
// package with its header.
struct qemu_plugin_tb;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*call)(unsigned vcpu, void *data), int registers, void *data);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, void (*call)(uint64_t id, unsigned vcpu, int64_t number, uint64_t, uint64_t,
                                                                  uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { NO_REGISTERS = 0 };

static struct {
  uint64_t instructions, calls;
} *counts;

// Threads run at the same time, so the sums are atomic.
static void block_runs(unsigned vcpu, void *length) {
  (void)vcpu;
  __atomic_fetch_add(&counts->instructions, (uint64_t)(uintptr_t)length, __ATOMIC_RELAXED);
}

static void block_is_translated(uint64_t id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_cb(block, block_runs, NO_REGISTERS, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void program_calls(uint64_t id, unsigned vcpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)vcpu, (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  __atomic_fetch_add(&counts->calls, 1, __ATOMIC_RELAXED);
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
  (void)info;
  static const char option[] = "counts=";
  if (argc != 1 || strncmp(argv[0], option, strlen(option)) != 0) {
    fprintf(stderr, "counter: missing or invalid argument: give counts=FILE alone\n");
    return -1;
  }
  const char *path = argv[0] + strlen(option);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof *counts) != 0) {
    perror(path);
    return -1;
  }
  counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (counts == MAP_FAILED) {
    perror(path);
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, block_is_translated);
  qemu_plugin_register_vcpu_syscall_cb(id, program_calls);
  return 0;
}
