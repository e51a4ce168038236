// Embeddings of the public header and those that are drawn with: checked, and converted both ways.
#pragma once

#include "engine/embeddings.h"
#include "fude/embeddings.h"
#include "fude/request.h"
#include "weights/components/mmdit.h"

namespace fude {

// Error{bad_request} unless a complete request's embeddings, where it has some, are those of such a transformer: their shapes,
// a negative prompt's with guidance, and numbers.
void check_embeddings(const Request& complete, const MmditGeometry& geometry);

// The negative prompt's come first, where `guided`.
HostEmbeddings host_embeddings(const Embeddings& given, bool guided, DType dtype);
Embeddings embeddings_from(const HostEmbeddings& encoded);

}  // namespace fude
