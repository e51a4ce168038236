// What oneDNN's versions differ by. In 3 a primitive is described in one call, and an eltwise has no scale.
#pragma once

#include <dnnl.hpp>
#include <unordered_map>

#include "cpu/onednn_threads.h"

namespace fude::cpu {

#if DNNL_VERSION_MAJOR >= 3
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) { ops.append_eltwise(kind, alpha, 0.0f); }

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  const Alone alone;
  return {engine, arguments..., attr};
}

// Elements before the first one of a part of something larger.
inline int64_t elements_before(const dnnl::memory::desc& part) { return part.get_submemory_offset(); }
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.get_dims(); }
#else
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) {
  ops.append_eltwise(1.0f, kind, alpha, 0.0f);
}

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  const Alone alone;
  return {typename Primitive::desc(arguments...), attr, engine};
}

// Elements before the first one of a part of something larger.
inline int64_t elements_before(const dnnl::memory::desc& part) { return part.data.offset0; }
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.dims(); }
#endif

using Arguments = std::unordered_map<int, dnnl::memory>;

// Any thread may execute a primitive, several at once with a scratchpad each.
inline void execute(const dnnl::primitive& primitive, const dnnl::engine& engine, const Arguments& arguments) {
  const Alone alone;
  dnnl::stream stream(engine);
  primitive.execute(stream, arguments);
  stream.wait();
}

inline void reorder(dnnl::memory from, dnnl::memory to) {
  const Alone alone;
  execute(dnnl::reorder(from, to), from.get_engine(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

}  // namespace fude::cpu
