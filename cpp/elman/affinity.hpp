// Where a thread begins, and where it may go.
//
// Linux may put a thread that is made or woken on the processor of the one that did it, though
// others idle, and find that out no earlier than at the next tick: after a pause of some
// milliseconds it nearly always did, and a call of two milliseconds was over before its second
// thread had come. So a thread is told to begin elsewhere, and once it works it may go wherever the
// thread that called it may.
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
    static Processors of_this_thread() {
        Processors processors;
        processors.are_known_ = sched_getaffinity(0, sizeof processors.all_, &processors.all_) == 0;
        return processors;
    }

    // For a thread that has just been made or is about to be woken, by the one that does it.
    void begin_elsewhere(std::thread& thread) const {
        cpu_set_t others = all_;
        const int here = sched_getcpu();
        if (!are_known_ || here < 0) return;
        CPU_CLR(std::size_t(here), &others);
        if (CPU_COUNT(&others) > 0)
            pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);
    }
    // For this thread.
    void use() const {
        if (are_known_) sched_setaffinity(0, sizeof all_, &all_);
    }

private:
    cpu_set_t all_{};
    bool are_known_ = false;
};

#else

class Processors {
public:
    static Processors of_this_thread() { return {}; }
    void begin_elsewhere(std::thread&) const {}
    void use() const {}
};

#endif

}  // namespace elman
