// Threads from call to call: a job is done once or, where it is recalled in time, not at all, and
// all that it wrote can be read after that; a team has its tasks done whoever comes.
#include "check.hpp"
#include "elman/threads.hpp"

using namespace elman;

namespace {

void test_recalled() {
    const Processors processors = Processors::of_this_thread();
    Worker worker(processors);
    int n_done = 0, n_begun = 0;
    for (int i = 0; i < 2000; ++i) {
        const int before = n_done;
        worker.call([&n_done] { ++n_done; }, processors);
        // Waits for it in every other call, and sometimes long enough for it to be asleep before.
        for (int spin = 0; i % 2 == 0 && spin < 2000; ++spin) std::this_thread::yield();
        worker.recall();
        CHECK(n_done == before || n_done == before + 1);
        n_begun += n_done - before;
        const int then = n_done;
        if (i % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        CHECK(n_done == then);
    }
    CHECK(n_begun > 0);
}

void test_teams() {
    for (int call = 0; call < 300; ++call) {
        if (call % 100 == 50) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        const Index n_threads = 1 + call % 5;
        Team team(n_threads, {});
        CHECK(team.n_threads() == n_threads && !team.is_short());
        std::vector<int> n_times(std::size_t(call % 7));
        for (int run = 1; run <= 3; ++run) {
            team.run(Index(n_times.size()),
                     [&](Index task, Control&) { ++n_times[std::size_t(task)]; });
            for (const int n : n_times) CHECK(n == run);
        }
    }
}

// What one call was told does not reach the next, whose threads are the same.
void test_errors() {
    for (int call = 0; call < 20; ++call) {
        bool is_told = false;
        try {
            Team(3, {}).run(8, [&](Index task, Control&) {
                if (task == call % 8) throw std::runtime_error("task");
            });
        } catch (const std::runtime_error&) {
            is_told = true;
        }
        CHECK(is_told);
        std::atomic<int> n_done{0};
        Team(3, {}).run(8, [&](Index, Control&) { ++n_done; });
        CHECK(n_done == 8);
    }
}

}  // namespace

int main() {
    test_recalled();
    test_teams();
    test_errors();
    return test::report();
}
