// Threads that outlive the calls they work for.
//
// To start a thread and to join it cost some 100 microseconds, as much as a small call takes
// altogether. So one that has worked looks for the next call for as long as that, and then sleeps
// until it comes. None is started at import. Before a fork those that wait are ended: a child has
// none to miss, and a process forks as if it had but one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "elman/affinity.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

namespace elman {

// Signals are the program's, and its own threads say which of them takes one: a thread begun while
// this stands blocks all but those that tell of a fault of its own.
class SignalsBlocked {
public:
#if !defined(_WIN32)
    SignalsBlocked() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
            sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
#else
    SignalsBlocked() = default;
#endif
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
#if !defined(_WIN32)
    sigset_t before_;
#endif
};

// Whether a condition comes to hold while this thread looks for it, so long.
template <class Condition>
bool holds_within(std::chrono::microseconds patience, const Condition& condition) {
    const auto begin = std::chrono::steady_clock::now();
    do {
        for (int look = 0; look < 64; ++look)
            if (condition()) return true;
        std::this_thread::yield();
    } while (std::chrono::steady_clock::now() - begin < patience);
    return false;
}

// A thread that does one job after the other for the one who holds it.
class Worker {
public:
    using Job = std::function<void()>;

    explicit Worker(const Processors& processors) {
        const SignalsBlocked blocked;
        thread_ = std::thread([this] { live(); });
        processors.begin_elsewhere(thread_);
    }
    ~Worker() {
        wake(State::ended);
        thread_.join();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Has the job, which must not throw, done on these processors.
    void call(Job job, const Processors& processors) {
        job_ = std::move(job);
        processors_ = processors;
        if (is_asleep_.load()) processors.begin_elsewhere(thread_);
        wake(State::called);
    }
    // Once this returns the job is done, or will not be begun.
    void recall() {
        State called = State::called;
        if (state_.compare_exchange_strong(called, State::waiting)) return;
        while (state_.load(std::memory_order_acquire) != State::waiting) std::this_thread::yield();
    }

private:
    enum class State { waiting, called, working, ended };

    void wake(State state) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            state_.store(state);
        }
        wake_.notify_one();
    }

    void live() {
        while (true) {
            await_call();
            State called = State::called;
            if (state_.compare_exchange_strong(called, State::working)) {
                processors_.use();
                job_();
                state_.store(State::waiting, std::memory_order_release);
            } else if (called == State::ended) {
                return;
            }
        }
    }

    void await_call() {
        const auto is_wanted = [this] { return state_.load() != State::waiting; };
        if (holds_within(std::chrono::microseconds(100), is_wanted)) return;
        std::unique_lock<std::mutex> lock(mutex_);
        is_asleep_.store(true);
        wake_.wait(lock, is_wanted);
        is_asleep_.store(false);
    }

    Job job_;
    Processors processors_;
    std::atomic<State> state_{State::waiting};
    std::atomic<bool> is_asleep_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
    std::thread thread_;
};

// Those of the process that nobody holds, at most as many as it has processors.
class Workers {
public:
    static Workers& of_process() {
        // Never destroyed: at exit, threads of the program may still hold some.
        static Workers* const workers = new Workers();
        return *workers;
    }

    // Throws what std::thread does where the system grants no more.
    std::unique_ptr<Worker> take(const Processors& processors) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (waiting_.empty()) return std::make_unique<Worker>(processors);
        std::unique_ptr<Worker> worker = std::move(waiting_.back());
        waiting_.pop_back();
        return worker;
    }
    void give_back(std::unique_ptr<Worker> worker) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (waiting_.size() < n_processors_) waiting_.push_back(std::move(worker));
    }

private:
    Workers() {
#if !defined(_WIN32)
        pthread_atfork(
            [] {
                of_process().mutex_.lock();
                of_process().waiting_.clear();
            },
            [] { of_process().mutex_.unlock(); }, [] { of_process().mutex_.unlock(); });
#endif
    }

    const std::size_t n_processors_ = std::thread::hardware_concurrency();
    std::mutex mutex_;
    std::vector<std::unique_ptr<Worker>> waiting_;
};

}  // namespace elman
