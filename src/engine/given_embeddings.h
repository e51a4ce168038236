// Embeddings of the public header and those that are drawn with: checked, and converted both ways.
#pragma once

#include "engine/embeddings.h"
#include "fude/embeddings.h"
#include "fude/request.h"
#include "weights/components/mmdit.h"

namespace fude {

// Error{bad_request} where no embeddings have so many tokens, or such widths.
void check_shape(int64_t tokens, int64_t width, int64_t pooled_width);

// Error{bad_request} unless a complete request's embeddings, where it has some, are those of such a transformer: their shapes,
// a negative prompt's with guidance, and numbers.
void check_embeddings(const Request& complete, const MmditGeometry& geometry);

// The negative prompt's come first, where `guided`.
HostEmbeddings host_embeddings(const Embeddings& given, bool guided, DType dtype);
Embeddings embeddings_from(const HostEmbeddings& encoded);

}  // namespace fude
