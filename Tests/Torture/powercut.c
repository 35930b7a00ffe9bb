// A power cut for one process: remembers what lay under every write since the last sync, and at the
// write of a given number puts sectors back at random, tears the write, and kills the process.
//   LD_PRELOAD=powercut.so POWERCUT_AT=N POWERCUT_SEED=S program …
// Names of files are not modelled; the simulation in the test suite does that.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { sector = 512, limit = 1 << 16, files = 1024 };

struct image {
  int file;
  off_t offset;
  int kept;
  unsigned char bytes[sector];
};

static struct image *images;
static int count;
static long writes;
static off_t durable_size[files];
static int is_sized[files];
static unsigned long long state;
static volatile int guard;

static void lock(void) {
  while (__sync_lock_test_and_set(&guard, 1)) usleep(10);
}
static void unlock(void) { __sync_lock_release(&guard); }

static unsigned long long chance(void) {
  state += 0x9E3779B97F4A7C15ull;
  unsigned long long z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

typedef ssize_t (*write_call)(int, const void *, size_t, off_t);
typedef int (*sync_call)(int);

static ssize_t real_write(int file, const void *bytes, size_t size, off_t offset) {
  static write_call call;
  if (!call) call = (write_call)dlsym(RTLD_NEXT, "pwrite64");
  return call(file, bytes, size, offset);
}

static int is_regular(int file) {
  struct stat status;
  return file >= 0 && file < files && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

static void remember(int file, off_t offset, size_t size) {
  if (!images) images = malloc(sizeof(struct image) * limit);
  struct stat status;
  fstat(file, &status);
  if (!is_sized[file]) {
    durable_size[file] = status.st_size;
    is_sized[file] = 1;
  }
  for (off_t at = offset / sector * sector; at < offset + (off_t)size; at += sector) {
    if (count == limit) return;
    int known = 0;
    for (int i = count - 1; i >= 0 && i > count - 4096 && !known; i--)
      known = images[i].file == file && images[i].offset == at;
    if (known) continue;
    struct image *image = &images[count++];
    image->file = file;
    image->offset = at;
    memset(image->bytes, 0, sector);
    image->kept = (int)pread(file, image->bytes, sector, at);
  }
}

static void cut(void) {
  int mode = chance() % 3;  // all of it is lost, any sector, or nothing
  for (int i = count - 1; i >= 0 && mode < 2; i--) {
    if (mode == 1 && chance() % 2) continue;
    if (images[i].kept > 0) real_write(images[i].file, images[i].bytes, images[i].kept, images[i].offset);
    else if (images[i].offset >= durable_size[images[i].file])
      real_write(images[i].file, images[i].bytes, sector, images[i].offset);
  }
  for (int file = 0; file < files && mode == 0; file++)
    if (is_sized[file] && is_regular(file)) (void)!ftruncate(file, durable_size[file]);
  kill(getpid(), SIGKILL);
}

static ssize_t written(int file, const void *bytes, size_t size, off_t offset) {
  const char *at = getenv("POWERCUT_AT");
  if (!at || !is_regular(file)) return real_write(file, bytes, size, offset);
  lock();
  if (!state) state = getenv("POWERCUT_SEED") ? strtoull(getenv("POWERCUT_SEED"), 0, 10) + 1 : 1;
  remember(file, offset, size);
  if (++writes == atol(at)) {
    real_write(file, bytes, chance() % (size + 1), offset);
    cut();
  }
  ssize_t result = real_write(file, bytes, size, offset);
  unlock();
  return result;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
  return written(file, bytes, size, offset);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off_t offset) {
  return written(file, bytes, size, offset);
}

static int synced(int file, const char *name) {
  sync_call call = (sync_call)dlsym(RTLD_NEXT, name);
  if (getenv("POWERCUT_LIES")) return 0;  // a build that skips fsync, to test the test
  int result = call(file);
  lock();
  int left = 0;
  for (int i = 0; i < count; i++)
    if (images[i].file != file) images[left++] = images[i];
  count = left;
  if (file >= 0 && file < files) is_sized[file] = 0;
  unlock();
  return result;
}

int fdatasync(int file) { return synced(file, "fdatasync"); }
int fsync(int file) { return synced(file, "fsync"); }

int close(int file) {
  static sync_call call;
  if (!call) call = (sync_call)dlsym(RTLD_NEXT, "close");
  lock();
  int left = 0;
  for (int i = 0; i < count; i++)
    if (images[i].file != file) images[left++] = images[i];
  count = left;
  if (file >= 0 && file < files) is_sized[file] = 0;
  unlock();
  return call(file);
}
