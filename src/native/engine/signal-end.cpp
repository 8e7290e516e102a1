// A handler may do next to nothing: it passes the signal through a pipe to a thread that waits for it.
#include "signal-end.h"

#include "earlier-handler.h"

#ifndef _WIN32
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#endif

namespace layerwise {

#ifdef _WIN32

void endAfterSignals(const SignalEnd&) {}

#else

namespace {

int readEnd = -1;
int writeEnd = -1;
struct sigaction earlierInterrupt;
struct sigaction earlierTerminate;

void handle(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const char name = signal == SIGINT ? 'i' : 't';
  [[maybe_unused]] const ssize_t written = write(writeEnd, &name, 1);
  errno = error;
  callEarlier(signal == SIGINT ? earlierInterrupt : earlierTerminate, signal, info, context);
}

/** Whether something can be read before the time is over; negative: no such time. */
bool waitFor(int milliseconds) {
  pollfd end{readEnd, POLLIN, 0};
  int ready = -1;
  do ready = poll(&end, 1, milliseconds);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

[[noreturn]] void watch(const SignalEnd& end) {
  waitFor(-1);
  char first = 't';
  [[maybe_unused]] const ssize_t got = read(readEnd, &first, 1);
  waitFor(end.graceMs);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, end.message.data(), end.message.size());
  _exit(first == 'i' ? end.interruptStatus : end.terminateStatus);
}

bool openPipe() {
  int ends[2];
  if (pipe(ends) != 0) return false;
  readEnd = ends[0];
  writeEnd = ends[1];
  for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  fcntl(writeEnd, F_SETFL, O_NONBLOCK);
  return true;
}

}  // namespace

void endAfterSignals(const SignalEnd& end) {
  if (readEnd >= 0 || !openPipe()) return;
  // Signals are for threads that run JavaScript or compute: this one must not be the one that is interrupted.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([end] { watch(end); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(SIGINT, &action, &earlierInterrupt);
  sigaction(SIGTERM, &action, &earlierTerminate);
}

#endif

}  // namespace layerwise
