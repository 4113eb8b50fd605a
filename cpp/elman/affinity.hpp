// Where a thread begins.
//
// Linux may put a new thread on the processor of the one that made it, though others idle, and find
// that out no earlier than at the next tick: after a pause of some milliseconds it nearly always
// did, and a call of two milliseconds was over before its second thread had come. So a thread is
// told to begin elsewhere, and once it runs it may go wherever its process may.
#pragma once

#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace elman {

#if defined(__linux__)

class Processors {
public:
    // Those that this thread may use.
    Processors() { are_known_ = sched_getaffinity(0, sizeof all_, &all_) == 0; }

    // For a thread that has just been made, by the one that made it.
    void begin_elsewhere(std::thread& thread) const {
        cpu_set_t others = all_;
        const int here = sched_getcpu();
        if (!are_known_ || here < 0) return;
        CPU_CLR(std::size_t(here), &others);
        if (CPU_COUNT(&others) > 0)
            pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);
    }
    // For this thread.
    void use_all() const {
        if (are_known_) sched_setaffinity(0, sizeof all_, &all_);
    }

private:
    cpu_set_t all_;
    bool are_known_ = false;
};

#else

class Processors {
public:
    void begin_elsewhere(std::thread&) const {}
    void use_all() const {}
};

#endif

}  // namespace elman
