// Errors of the native core: an exception with a message that names what, expected, got. Bindings translate them.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace mambino {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The sequence does not fit into its state.
struct ContextFullError : Error {
    using Error::Error;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

// Throws Error with the concatenated parts unless ok.
template <class... Parts>
void check(bool ok, const Parts&... parts) {
    if (!ok) throw Error(concat(parts...));
}

}  // namespace mambino
