// Hides where the C++ interfaces of oneDNN 2 and 3 differ: in 3 a primitive is described in one call, and an eltwise has no
// scale.
#pragma once

#include <dnnl.hpp>

namespace fude::cpu {

#if DNNL_VERSION_MAJOR >= 3
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) { ops.append_eltwise(kind, alpha, 0.0f); }

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  return {engine, arguments..., attr};
}
#else
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) {
  ops.append_eltwise(1.0f, kind, alpha, 0.0f);
}

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attr,
                                            const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), attr, engine};
}
#endif

}  // namespace fude::cpu
