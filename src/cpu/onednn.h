// What oneDNN's versions and builds differ by. In 3 a primitive is described in one call, and an eltwise has no scale. Built
// with OpenMP, it uses as many threads as OpenMP allows the thread that calls it: here that is one, since the work was split
// before (core/thread_team.h), and OpenMP's threads wait for each other at barriers, in turns that other programs take.
#pragma once

#include <dnnl.hpp>
#include <unordered_map>

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

namespace fude::cpu {

// Primitives are described, made and executed by this thread alone while one of these lives. What the thread's owner has set
// comes back afterwards; other threads are not concerned.
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
class Alone {
 public:
  Alone() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~Alone() { omp_set_num_threads(before_); }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  int before_;
};
#else
class Alone {};
#endif

#if DNNL_VERSION_MAJOR >= 3
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) { ops.append_eltwise(kind, alpha, 0.0f); }

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  [[maybe_unused]] const Alone alone;
  return {engine, arguments..., attr};
}

// Elements before the first one of a part of something larger.
inline int64_t elements_before(const dnnl::memory::desc& part) { return part.get_submemory_offset(); }
#else
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) {
  ops.append_eltwise(1.0f, kind, alpha, 0.0f);
}

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  [[maybe_unused]] const Alone alone;
  return {typename Primitive::desc(arguments...), attr, engine};
}

// Elements before the first one of a part of something larger.
inline int64_t elements_before(const dnnl::memory::desc& part) { return part.data.offset0; }
#endif

using Arguments = std::unordered_map<int, dnnl::memory>;

// Any thread may execute a primitive, several at once with a scratchpad each.
inline void execute(const dnnl::primitive& primitive, const dnnl::engine& engine, const Arguments& arguments) {
  [[maybe_unused]] const Alone alone;
  dnnl::stream stream(engine);
  primitive.execute(stream, arguments);
  stream.wait();
}

inline void reorder(dnnl::memory from, dnnl::memory to) {
  [[maybe_unused]] const Alone alone;
  execute(dnnl::reorder(from, to), from.get_engine(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

}  // namespace fude::cpu
