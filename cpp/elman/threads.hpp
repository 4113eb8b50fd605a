// A team of threads for one call, and the way to stop it.
//
// Workers are started when a call begins and joined before it returns: nothing runs at import,
// between calls or at exit, and a fork has no threads to lose. The calling thread works too; it
// alone asks, every few milliseconds of work, whether the user has interrupted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "elman/simd.hpp"

namespace elman {

// Thrown inside workers to unwind them; never leaves the team.
struct Stopped {};

class Control {
public:
    using Check = std::function<void()>;  // throws to interrupt

    Control(std::atomic<bool>& stopped, const Check* check) : stopped_(stopped), check_(check) {}

    // To be called between pieces of work, with the multiply-adds of each: looks at the clock
    // after about 50 microseconds of them.
    void poll(Index work) {
        work_ += work;
        if (work_ < 1000000) return;
        work_ = 0;
        if (stopped_.load(std::memory_order_relaxed)) throw Stopped();
        if (check_ == nullptr || !*check_) return;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_check_ < std::chrono::milliseconds(5)) return;
        last_check_ = now;
        (*check_)();
    }

private:
    std::atomic<bool>& stopped_;
    const Check* check_;
    Index work_ = 0;
    std::chrono::steady_clock::time_point last_check_ = std::chrono::steady_clock::now();
};

class Team {
public:
    using Task = std::function<void(Index task, Control&)>;

    // As many workers as the system grants; is_short() tells when that is less than asked for.
    Team(Index n_threads, Control::Check check)
        : check_(std::move(check)), control_(stopped_, &check_), n_wanted_(n_threads) {
        workers_.reserve(std::size_t(n_threads));
        try {
            while (this->n_threads() < n_threads) workers_.emplace_back([this] { work(); });
        } catch (const std::exception&) {
            // Fewer threads are slower, not wrong.
        }
    }

    ~Team() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            finished_ = true;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (std::thread& worker : workers_) worker.join();
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    Index n_threads() const { return Index(workers_.size()) + 1; }
    // The calling thread's, for work that is not dealt out.
    Control& control() { return control_; }
    bool is_short() const { return n_threads() < n_wanted_; }

    // Calls task(0), ..., task(n_tasks - 1), each once, on any thread; returns when all are done.
    void run(Index n_tasks, const Task& task) {
        if (workers_.empty() || n_tasks <= 1) {
            for (Index i = 0; i < n_tasks; ++i) task(i, control_);
            return;
        }
        task_ = &task;
        n_tasks_ = n_tasks;
        next_.store(0, std::memory_order_relaxed);
        busy_.store(Index(workers_.size()), std::memory_order_relaxed);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        take_tasks(control_);
        while (busy_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
        if (error_) {
            stopped_.store(false);
            std::rethrow_exception(std::exchange(error_, nullptr));
        }
    }

private:
    void take_tasks(Control& control) {
        try {
            for (;;) {
                const Index i = next_.fetch_add(1, std::memory_order_relaxed);
                if (i >= n_tasks_) break;
                (*task_)(i, control);
            }
        } catch (const Stopped&) {
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
            stopped_.store(true);
            next_.store(n_tasks_);
        }
    }

    void work() {
        Control control(stopped_, nullptr);
        std::uint64_t seen = 0;
        for (;;) {
            seen = await_change(seen);
            if (finished_) return;
            take_tasks(control);
            busy_.fetch_sub(1, std::memory_order_release);
        }
    }

    // Mini-batches follow one another within microseconds: look for the next for a while before
    // going to sleep.
    std::uint64_t await_change(std::uint64_t seen) {
        for (int spin = 0; spin < 4000; ++spin) {
            const std::uint64_t now = generation_.load(std::memory_order_acquire);
            if (now != seen) return now;
            if (spin % 64 == 63) std::this_thread::yield();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this, seen] { return generation_.load() != seen; });
        return generation_.load();
    }

    Control::Check check_;
    std::atomic<bool> stopped_{false};
    Control control_;
    Index n_wanted_;
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<bool> finished_{false};
    const Task* task_ = nullptr;
    Index n_tasks_ = 0;
    std::atomic<Index> next_{0};
    std::atomic<Index> busy_{0};
    std::exception_ptr error_;
};

}  // namespace elman
