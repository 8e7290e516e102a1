// The end of a process that is asked to end while its main thread is busy: a thread of our own sees to it.
#pragma once
#include <string>

namespace layerwise {

/** What is said and told when a process does not end by itself. */
struct SignalEnd {
  /** From the first signal on; a second signal ends the process at once. */
  int graceMs;
  int interruptStatus;
  int terminateStatus;
  /** Written to standard error. */
  std::string message;
};

/**
 * From now on SIGINT and SIGTERM end the process after the time of grace; handlers that are there are called first.
 * Once a process: later calls change nothing. Nothing where the system has no such signals (Windows).
 */
void endAfterSignals(const SignalEnd& end);

}  // namespace layerwise
