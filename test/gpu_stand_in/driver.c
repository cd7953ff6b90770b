// SPDX-License-Identifier: Apache-2.0
// A CUDA driver without a GPU, for tests: libcuda.so.1 as cuda.bindings.driver calls it.
//
// Stricter than a GPU where a GPU would forgive: device addresses are pages that the host may not
// touch (their contents lie elsewhere), fresh memory is poisoned, queued work is done only when its
// stream is synchronised, and whatever is freed twice, late, wrongly or under something that still
// uses it is written down as a problem. Any call can be told to fail. See stand_in.py, its other
// half; every function here answers as cuda.h says.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { OK, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, NO_DEVICE = 100, INVALID_CONTEXT = 201 };
enum { INVALID_HANDLE = 400, NOT_READY = 600, ILLEGAL_ADDRESS = 700 };
enum { CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903 };
enum { POISON = 0xA5, PAGE = 4096, MOST = 1 << 16, NAME = 48, DEVICEMAP = 2, BLOCKING_SYNC = 4 };
typedef enum { DEVICE, HOST, MAPPED, STREAM, EVENT, GRAPH, EXEC, KINDS } Kind;
static const char *const KIND_NAMES[] = {"device memory", "host memory", "mapped memory", "stream",
                                         "event",         "graph",       "launchable graph"};

typedef struct Op {
  struct Op *next;
  enum { UPLOAD, DOWNLOAD, FUNCTION, RECORD } kind;
  uintptr_t target, source;
  size_t size;
  void (*function)(void *);
  void *argument;
  int64_t queued_ns;
} Op;

typedef struct {  // whatever can be opened and closed; entries stay, so that late use is seen
  uintptr_t address;  // of memory as the device sees it; of the rest: the handle itself
  char *bytes;        // of memory: as the host reaches it
  size_t size;
  Kind kind;
  int is_open;
  Op *first, **last;  // of a stream what is queued, of graphs what is in them
  int captures;       // entry of the graph that a stream is recorded into
  int invalidated;
  int64_t happened_ns;  // of an event; 0 for not yet
  int origin;           // of a graph: its stream; of the rest: the newest one when it was opened
} Entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Entry entries[MOST];
static int entry_count, initialised, retained, flags_set;
static __thread int depth;  // of this thread's stack of contexts: there is one context to push
static size_t used, total = (size_t)1 << 33, opened[KINDS];
static int integrated, capability = 86, device_count = 1, driver_version = 12060, sticky;
static int64_t execute_ns;  // timing mode: what a function on a stream takes
static long calls, fail_at;
static int fail_error, fail_sticky;
static char fail_name[NAME], last_call[NAME], problems[1 << 14];

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int problem(const char *what, const char *which, int error) {
  size_t have = strlen(problems);
  snprintf(problems + have, sizeof problems - have, "%s: %s (%s)\n", last_call, what, which);
  return error;
}

// Every call passes here: counts it, and tells whether it is one that was told to fail.
static int begin(const char *name, int needs_context) {
  calls++;
  snprintf(last_call, NAME, "%s", name);
  if (needs_context && sticky) return sticky;
  if (fail_at > 0 && (!fail_name[0] || !strcmp(fail_name, name)) && --fail_at == 0) {
    if (fail_sticky) sticky = fail_error;
    return fail_error;
  }
  if (!initialised && strcmp(name, "cuInit")) return NOT_INITIALIZED;
  if (needs_context && !depth) return problem("no context is current", name, INVALID_CONTEXT);
  return OK;
}

#define CALL(name, ...)                          \
  {                                              \
    pthread_mutex_lock(&lock);                   \
    int error = begin(name, 1);                  \
    if (!error) { __VA_ARGS__ }                         \
    pthread_mutex_unlock(&lock);                 \
    return error;                                \
  }

static Entry *open_entry(Kind kind, size_t size) {
  Entry *entry = &entries[entry_count++];
  if (entry_count == MOST) abort();
  *entry = (Entry){.kind = kind, .size = size, .is_open = 1, .captures = -1};
  entry->address = (uintptr_t)entry;
  entry->last = &entry->first;
  entry->origin = -1;
  for (int i = 0; i < entry_count - 1; i++)
    if (entries[i].is_open && entries[i].kind == STREAM) entry->origin = i;
  opened[kind]++;
  return entry;
}

// The open entry of a handle; where there is none, what is wrong with it is written down.
static Entry *entry_of(uintptr_t handle, Kind kind, int *error) {
  for (int i = entry_count - 1; i >= 0; i--)  // the newest first: addresses are used again
    if (entries[i].address == handle || (uintptr_t)entries[i].bytes == handle) {
      Entry *entry = &entries[i];
      if (entry->kind == kind && entry->is_open && handle == (kind == HOST || kind == MAPPED
                                           ? (uintptr_t)entry->bytes : entry->address))
        return entry;
      *error = problem(entry->is_open ? "is something else" : "was freed before",
                       KIND_NAMES[entry->kind], INVALID_HANDLE);
      return NULL;
    }
  *error = problem("nobody has given this handle", KIND_NAMES[kind], INVALID_HANDLE);
  return NULL;
}

static void forget_ops(Entry *entry) {
  while (entry->first) {
    Op *op = entry->first;
    entry->first = op->next;
    free(op);
  }
  entry->last = &entry->first;
}

// Whether memory of the device's side lies wholly in one open block; where its bytes are.
static char *bytes_of(uintptr_t address, size_t size) {
  for (int i = entry_count - 1; i >= 0; i--) {
    Entry *row = &entries[i];
    if (row->is_open && (row->kind == DEVICE || row->kind == MAPPED) && address >= row->address &&
        address + size <= row->address + row->size)
      return row->bytes + (address - row->address);
  }
  return NULL;
}

static int is_pinned(uintptr_t address, size_t size) {
  for (int i = entry_count - 1; i >= 0; i--) {
    Entry *row = &entries[i];
    if (row->is_open && (row->kind == HOST || row->kind == MAPPED) &&
        address >= (uintptr_t)row->bytes && address + size <= (uintptr_t)row->bytes + row->size)
      return 1;
  }
  return 0;
}

static int uses(const Entry *owner, const Entry *memory) {
  for (const Op *op = owner->first; op; op = op->next) {
    uintptr_t ends[] = {op->kind == UPLOAD || op->kind == DOWNLOAD ? op->target : 0, op->source};
    for (int i = 0; i < 2; i++)
      if ((ends[i] >= memory->address && ends[i] < memory->address + memory->size) ||
          (ends[i] >= (uintptr_t)memory->bytes && ends[i] < (uintptr_t)memory->bytes + memory->size))
        return 1;
  }
  return 0;
}

static int close_entry(uintptr_t handle, Kind kind) {
  int error = OK;
  Entry *entry = entry_of(handle, kind, &error);
  if (!entry) return error;
  for (int i = 0; i < entry_count; i++) {
    Entry *row = &entries[i];
    if (!row->is_open || sticky) continue;  // of a context that is lost nothing runs any more
    if (kind <= MAPPED && (row->kind == STREAM || row->kind == EXEC) && uses(row, entry))
      problem("is freed while it is used by a", KIND_NAMES[row->kind], OK);
    if (kind == STREAM && row->origin == entry - entries && row->kind != STREAM &&
        row->kind != GRAPH)
      problem("the stream is freed before", KIND_NAMES[row->kind], OK);
  }
  if (kind == STREAM && entry->first && !sticky) problem("work is still queued", "stream", OK);
  if (kind == DEVICE || kind == MAPPED) munmap((void *)entry->address, entry->size + PAGE);
  if (kind == DEVICE) used -= entry->size, free(entry->bytes);
  if (kind == HOST || kind == MAPPED) 
    mmap(entry->bytes, entry->size + PAGE, PROT_NONE,  // who touches it from now on crashes
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  forget_ops(entry);
  entry->is_open = 0;
  opened[kind]--;
  return OK;
}

// Calls that free do their work even where they are told to fail: the error is an earlier one's.
#define FREE(name, handle, kind)                                            \
  {                                                                         \
    pthread_mutex_lock(&lock);                                              \
    int error = begin(name, 1), other = close_entry((uintptr_t)handle, kind); \
    pthread_mutex_unlock(&lock);                                            \
    return error ? error : other;                                           \
  }

// Puts work on a stream, or into the graph that the stream is recorded into.
static int enqueue(uintptr_t handle, Op row) {
  int error = OK;
  Entry *stream = entry_of(handle, STREAM, &error);
  if (!stream) return error;
  if (stream->invalidated) return CAPTURE_INVALIDATED;
  Entry *into = stream->captures >= 0 ? &entries[stream->captures] : stream;
  Op *op = malloc(sizeof *op);
  *op = row;
  op->next = NULL;
  op->queued_ns = now_ns();
  *into->last = op;
  into->last = &op->next;
  return OK;
}

static int copy(uintptr_t device, uintptr_t host, Op op, uintptr_t stream) {
  if (bytes_of(host, 1) && !is_pinned(host, 1))
    return problem("is an address of the device", "host memory", INVALID_VALUE);
  if (!is_pinned(host, op.size)) problem("is not pinned, or shorter", "host memory", OK);
  if (is_pinned(device, 1)) problem("is an address of the host", "device memory", OK);
  return enqueue(stream, op);
}

// Does one piece of work; the lock is held, and let go of while somebody else's function runs.
static int work(const Op *op) {
  char *there = op->kind == UPLOAD ? bytes_of(op->target, op->size) : bytes_of(op->source, op->size);
  switch (op->kind) {
    case UPLOAD:
      if (!there || !is_pinned(op->source, op->size)) return ILLEGAL_ADDRESS;
      memcpy(there, (void *)op->source, op->size);
      return OK;
    case DOWNLOAD:
      if (!there || !is_pinned(op->target, op->size)) return ILLEGAL_ADDRESS;
      memcpy((void *)op->target, there, op->size);
      return OK;
    case RECORD:
      ((Entry *)op->target)->happened_ns = now_ns();
      return OK;
    case FUNCTION:
      pthread_mutex_unlock(&lock);
      op->function(op->argument);
      int64_t left_ns = op->queued_ns + execute_ns - now_ns();
      if (execute_ns && left_ns > 0 && flags_set & BLOCKING_SYNC) {
        struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};
        nanosleep(&left, NULL);
      }
      while (execute_ns && now_ns() < op->queued_ns + execute_ns) {}  // as a driver spins
      pthread_mutex_lock(&lock);
      return sticky;
  }
  return OK;
}

int cuInit(unsigned flags) {
  pthread_mutex_lock(&lock);
  int error = begin("cuInit", 0);
  const char *told = getenv("SEG_ROS_STAND_IN_FAIL");  // of a node: "cuStreamSynchronize 40 719 1"
  if (told && !initialised)
    sscanf(told, "%47s %ld %d %d", fail_name, &fail_at, &fail_error, &fail_sticky);
  if (!error && !device_count) error = NO_DEVICE;
  if (!error) initialised = 1;
  pthread_mutex_unlock(&lock);
  return error;
}
#define QUERY(name, ...)             \
  {                                  \
    pthread_mutex_lock(&lock);       \
    int error = begin(name, 0);      \
    if (!error) { __VA_ARGS__ }             \
    pthread_mutex_unlock(&lock);     \
    return error;                    \
  }
int cuDriverGetVersion(int *version) {  // the one that needs no cuInit
  *version = driver_version;
  return OK;
}
int cuDeviceGetCount(int *count) QUERY("cuDeviceGetCount", *count = device_count;)
int cuDeviceGet(int *device, int index)
    QUERY("cuDeviceGet", *device = index; if (index >= device_count) error = 101;)
int cuDeviceGetName(char *name, int size, int device)
    QUERY("cuDeviceGetName", snprintf(name, size, "no GPU (stand-in)");)
int cuDeviceTotalMem_v2(size_t *size, int device) QUERY("cuDeviceTotalMem", *size = total;)
int cuDeviceGetAttribute(int *value, int which, int device) QUERY("cuDeviceGetAttribute", {
  *value = which == 75   ? capability / 10
           : which == 76 ? capability % 10
           : which == 18 ? integrated
           : which == 16 ? 8        // multiprocessors
           : which == 13 ? 1000000  // kHz
                         : 0;
})
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags)
    QUERY("cuDevicePrimaryCtxSetFlags", flags_set = flags;)
int cuDevicePrimaryCtxRetain(void **context, int device)
    QUERY("cuDevicePrimaryCtxRetain", if (sticky) error = sticky; else {
      retained++;
      *context = &retained;
    })
int cuDevicePrimaryCtxRelease_v2(int device) {  // frees, and so does it in any case
  pthread_mutex_lock(&lock);
  int error = begin("cuDevicePrimaryCtxRelease", 0);
  if (retained == 0) error = problem("nobody holds it", "context", INVALID_CONTEXT);
  else if (--retained == 0)
    for (int kind = 0; kind < KINDS; kind++)
      if (opened[kind]) problem("the context is freed before", KIND_NAMES[kind], OK);
  pthread_mutex_unlock(&lock);
  return error;
}
int cuCtxPushCurrent_v2(void *context) QUERY("cuCtxPushCurrent", {
  if (context != &retained || !retained) error = INVALID_CONTEXT;
  else depth++;
})
int cuCtxPopCurrent_v2(void **context) {
  pthread_mutex_lock(&lock);
  int error = begin("cuCtxPopCurrent", 0);
  if (depth) depth--;
  else error = problem("nothing is current", "context", INVALID_CONTEXT);
  *context = &retained;
  pthread_mutex_unlock(&lock);
  return error;
}
int cuMemGetInfo_v2(size_t *left, size_t *all)
    CALL("cuMemGetInfo", *left = total - used; *all = total;)

int cuMemAlloc_v2(uintptr_t *address, size_t size) CALL("cuMemAlloc", {
  if (size > total - used) error = OUT_OF_MEMORY;
  else {
    Entry *entry = open_entry(DEVICE, size);
    entry->bytes = memset(malloc(size), POISON, size);
    entry->address = *address = (uintptr_t)mmap(NULL, size + PAGE, PROT_NONE,
                                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    used += size;
  }
})
int cuMemFree_v2(uintptr_t address) FREE("cuMemFree", address, DEVICE)
int cuMemHostAlloc(void **bytes, size_t size, unsigned flags) CALL("cuMemHostAlloc", {
  Entry *entry = open_entry(flags & DEVICEMAP ? MAPPED : HOST, size);
  *bytes = entry->bytes = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(entry->bytes, POISON, size);
  entry->address = (uintptr_t)mmap(NULL, size + PAGE, PROT_NONE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
})
int cuMemFreeHost(void *bytes) {
  pthread_mutex_lock(&lock);
  int error = begin("cuMemFreeHost", 1), is_mapped = 0, other;
  for (int i = entry_count - 1; i >= 0; i--)
    if (entries[i].is_open && entries[i].bytes == bytes) is_mapped = entries[i].kind == MAPPED;
  other = close_entry((uintptr_t)bytes, is_mapped ? MAPPED : HOST);
  pthread_mutex_unlock(&lock);
  return error ? error : other;
}
int cuMemHostGetDevicePointer_v2(uintptr_t *address, void *bytes, unsigned flags)
    CALL("cuMemHostGetDevicePointer", {
      Entry *entry = entry_of((uintptr_t)bytes, MAPPED, &error);
      if (entry) *address = entry->address;
    })
int cuMemcpyHtoDAsync_v2(uintptr_t target, const void *source, size_t size, void *stream)
    CALL("cuMemcpyHtoDAsync", {
      Op op = {.kind = UPLOAD, .target = target, .source = (uintptr_t)source, .size = size};
      error = copy(target, op.source, op, (uintptr_t)stream);
    })
int cuMemcpyDtoHAsync_v2(void *target, uintptr_t source, size_t size, void *stream)
    CALL("cuMemcpyDtoHAsync", {
      Op op = {.kind = DOWNLOAD, .target = (uintptr_t)target, .source = source, .size = size};
      error = copy(source, op.target, op, (uintptr_t)stream);
    })
int cuLaunchHostFunc(void *stream, void (*function)(void *), void *argument)
    CALL("cuLaunchHostFunc", {
      Op op = {.kind = FUNCTION, .function = function, .argument = argument};
      error = enqueue((uintptr_t)stream, op);
    })

int cuStreamCreate(void **stream, unsigned flags)
    CALL("cuStreamCreate", *stream = open_entry(STREAM, 0);)
int cuStreamDestroy_v2(void *stream) FREE("cuStreamDestroy", stream, STREAM)
int cuStreamQuery(void *handle) CALL("cuStreamQuery", {
  Entry *stream = entry_of((uintptr_t)handle, STREAM, &error);
  if (stream && stream->first) error = NOT_READY;
})
int cuStreamSynchronize(void *handle) CALL("cuStreamSynchronize", {
  Entry *stream = entry_of((uintptr_t)handle, STREAM, &error);
  if (stream && stream->captures >= 0) {
    stream->invalidated = 1;
    error = CAPTURE_UNSUPPORTED;
  } else if (stream) {
    while (stream->first && !error) {
      Op *op = stream->first;
      if (!(stream->first = op->next)) stream->last = &stream->first;
      error = work(op);
      free(op);
    }
    if (error) {  // of a kernel: it sticks, as on a GPU
      if (!sticky) sticky = error;
      forget_ops(stream);
    }
  }
})

int cuEventCreate(void **event, unsigned flags)
    CALL("cuEventCreate", *event = open_entry(EVENT, 0);)
int cuEventDestroy_v2(void *event) FREE("cuEventDestroy", event, EVENT)
int cuEventRecord(void *event, void *stream) CALL("cuEventRecord", {
  if (entry_of((uintptr_t)event, EVENT, &error)) {
    Op op = {.kind = RECORD, .target = (uintptr_t)event};
    error = enqueue((uintptr_t)stream, op);
  }
})
static int elapsed(float *ms, void *first, void *second) CALL("cuEventElapsedTime", {
  Entry *start = entry_of((uintptr_t)first, EVENT, &error);
  Entry *end = start ? entry_of((uintptr_t)second, EVENT, &error) : NULL;
  if (end && (!start->happened_ns || !end->happened_ns)) error = NOT_READY;
  else if (end) *ms = (float)(end->happened_ns - start->happened_ns) / 1e6f;
})
int cuEventElapsedTime(float *ms, void *first, void *second) { return elapsed(ms, first, second); }
int cuEventElapsedTime_v2(float *ms, void *first, void *second) { return elapsed(ms, first, second); }

int cuStreamBeginCapture_v2(void *handle, int mode) CALL("cuStreamBeginCapture", {
  Entry *stream = entry_of((uintptr_t)handle, STREAM, &error);
  if (stream) {
    Entry *graph = open_entry(GRAPH, 0);
    graph->origin = (int)(stream - entries);
    stream->captures = (int)(graph - entries);
  }
})
// Ends the capture even where it is told to fail, as those calls do that free.
int cuStreamEndCapture(void *handle, void **graph) {
  pthread_mutex_lock(&lock);
  int error = begin("cuStreamEndCapture", 1), wrong = OK;
  Entry *stream = entry_of((uintptr_t)handle, STREAM, &wrong);
  if (stream && stream->captures < 0) wrong = CAPTURE_UNMATCHED;
  else if (stream) {
    *graph = &entries[stream->captures];
    stream->captures = -1;
    if (stream->invalidated || error) {
      close_entry((uintptr_t)*graph, GRAPH);
      *graph = NULL;
      stream->invalidated = 0;
      wrong = CAPTURE_INVALIDATED;
    }
  }
  pthread_mutex_unlock(&lock);
  return error ? error : wrong;
}
int cuGraphInstantiateWithFlags(void **exec, void *handle, unsigned long long flags)
    CALL("cuGraphInstantiate", {
      Entry *graph = entry_of((uintptr_t)handle, GRAPH, &error);
      if (graph) {
        Entry *made = open_entry(EXEC, 0);
        made->origin = graph->origin;
        for (const Op *op = graph->first; op; op = op->next) {
          Op *twin = malloc(sizeof *twin);
          *twin = *op;
          twin->next = NULL;
          *made->last = twin;
          made->last = &twin->next;
        }
        *exec = made;
      }
    })
int cuGraphDestroy(void *graph) FREE("cuGraphDestroy", graph, GRAPH)
int cuGraphExecDestroy(void *exec) FREE("cuGraphExecDestroy", exec, EXEC)
int cuGraphLaunch(void *handle, void *stream) CALL("cuGraphLaunch", {
  Entry *exec = entry_of((uintptr_t)handle, EXEC, &error);
  for (const Op *op = exec ? exec->first : NULL; op && !error; op = op->next)
    error = enqueue((uintptr_t)stream, *op);
})

static const struct { int error; const char *name; } ERRORS[] = {
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},     {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
    {NOT_READY, "CUDA_ERROR_NOT_READY"},             {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
    {719, "CUDA_ERROR_LAUNCH_FAILED"},               {999, "CUDA_ERROR_UNKNOWN"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
};
int cuGetErrorName(int error, const char **name) {
  *name = "CUDA_ERROR_OTHER";
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].error == error) *name = ERRORS[i].name;
  return OK;
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }

// cuda-bindings from 12.9 on asks here for every function, by its name without the version.
int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *status) {
  static void *self;
  Dl_info here;
  if (!self && dladdr((void *)cuInit, &here)) self = dlopen(here.dli_fname, RTLD_NOW);
  char versioned[2 * NAME];
  snprintf(versioned, sizeof versioned, "%s_v2", name);
  *found = dlsym(self, versioned);
  if (!*found) *found = dlsym(self, name);
  if (!*found && !strcmp(name, "cuGraphInstantiate")) *found = (void *)cuGraphInstantiateWithFlags;
  if (status) *status = *found ? 0 : 1;
  return *found ? OK : 500;  // CUDA_ERROR_NOT_FOUND
}

// What the test says and asks; the names are of stand_in.py.
void standin_be(int is_integrated, size_t bytes, int64_t function_ns) {
  integrated = is_integrated, total = bytes, execute_ns = function_ns;
}
void standin_fail(const char *name, long at, int error, int is_sticky) {
  snprintf(fail_name, NAME, "%s", name);
  fail_at = at, fail_error = error, fail_sticky = is_sticky;
}
void standin_heal(void) {  // a new process: nothing is open, nothing wrong
  for (int i = 0; i < entry_count; i++) {
    if (!entries[i].is_open) continue;
    forget_ops(&entries[i]);
    if (entries[i].kind == DEVICE) free(entries[i].bytes);
  }
  memset(opened, 0, sizeof opened);
  used = entry_count = sticky = retained = depth = fail_at = calls = 0;
  problems[0] = 0;
}
long standin_calls(void) { return calls; }
const char *standin_last_call(void) { return last_call; }
const char *standin_problems(void) { return problems; }
size_t standin_open(int kind) { return opened[kind]; }
int standin_retained(void) { return retained; }
int standin_flags(void) { return flags_set; }
void standin_break(int error) { sticky = error; }
// Memory as a kernel sees it; NULL, and the error that sticks, where it reaches beyond.
char *standin_view(uintptr_t address, size_t size) {
  pthread_mutex_lock(&lock);
  char *bytes = bytes_of(address, size);
  if (!bytes) sticky = ILLEGAL_ADDRESS, problem("a kernel touches what is not the device's", "", OK);
  pthread_mutex_unlock(&lock);
  return bytes;
}
