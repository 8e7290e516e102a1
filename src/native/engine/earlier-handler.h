// What a handler of ours owes to the one that was there before it.
#pragma once
#ifndef _WIN32
#include <signal.h>

namespace layerwise {

/** Calls a signal's earlier handler; false where it has none. May be called from a handler. */
inline bool callEarlier(const struct sigaction& earlier, int signal, siginfo_t* info, void* context) {
  if (earlier.sa_flags & SA_SIGINFO) {
    earlier.sa_sigaction(signal, info, context);
    return true;
  }
  if (earlier.sa_handler == SIG_DFL || earlier.sa_handler == SIG_IGN) return false;
  earlier.sa_handler(signal);
  return true;
}

}  // namespace layerwise
#endif
