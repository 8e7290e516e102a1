// The handler may take no lock and no memory: it looks through a table of atomics.
#include "mapping-guard.h"

#include "earlier-handler.h"

#ifndef _WIN32
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#endif

namespace layerwise {

#ifdef _WIN32

void guardMapping(const uint8_t*, size_t) {}
void unguardMapping(const uint8_t*) {}
bool isTorn(const uint8_t*) { return false; }

#else

namespace {

struct Slot {
  /** 0: free. Written last, and first when the slot is given up. */
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> torn{false};
};

constexpr size_t kSlots = 1024;
Slot slots[kSlots];
/** Of whoever takes slots or gives them up. */
std::mutex slotsMutex;
uintptr_t pageBytes = 0;
struct sigaction earlierHandler;

Slot* slotAt(uintptr_t address) {
  for (Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin != 0 && begin <= address && address < slot.end.load(std::memory_order_relaxed)) return &slot;
  }
  return nullptr;
}

/** Zeros from the missing page to the mapping's end: where one page is gone, those behind it are. */
bool patch(uintptr_t address) {
  Slot* const slot = slotAt(address);
  if (!slot) return false;
  slot->torn.store(true, std::memory_order_release);
  const uintptr_t from = address / pageBytes * pageBytes;
  const size_t bytes = slot->end.load(std::memory_order_relaxed) - from;
  void* const place = reinterpret_cast<void*>(from);
  return mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == place;
}

void handle(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  // A signal that somebody sent (code 0 or less) has no address.
  const bool patched = info->si_code > 0 && patch(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = error;
  if (patched || callEarlier(earlierHandler, signal, info, context)) return;
  // The access is made again, and ends the process as it would have.
  sigaction(SIGBUS, &earlierHandler, nullptr);
  if (info->si_code <= 0) raise(signal);
}

void install() {
  pageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &earlierHandler);
}

}  // namespace

void guardMapping(const uint8_t* data, size_t bytes) {
  static std::once_flag installed;
  std::call_once(installed, install);
  const std::lock_guard<std::mutex> lock(slotsMutex);
  for (Slot& slot : slots) {
    if (slot.begin.load(std::memory_order_relaxed) != 0) continue;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
    slot.torn.store(false, std::memory_order_relaxed);
    slot.end.store(begin + bytes, std::memory_order_relaxed);
    slot.begin.store(begin, std::memory_order_release);
    return;
  }
}

void unguardMapping(const uint8_t* data) {
  const std::lock_guard<std::mutex> lock(slotsMutex);
  for (Slot& slot : slots) {
    if (slot.begin.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(data)) slot.begin.store(0);
  }
}

bool isTorn(const uint8_t* data) {
  const Slot* const slot = slotAt(reinterpret_cast<uintptr_t>(data));
  return slot && slot->torn.load(std::memory_order_acquire);
}

#endif

}  // namespace layerwise
