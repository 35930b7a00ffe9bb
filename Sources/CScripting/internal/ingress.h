// Validation at ingress: each line is checked once, completely, and its members are noted.
#pragma once
#include <memory>

#include "shape.h"

namespace tidewheel {

struct Problem {
    char text[200];
    size_t offset;  // in the line
};

// simdjson's first stage finds the structure and checks UTF-8; our walk over it checks the grammar.
class Ingress {
  public:
    explicit Ingress(uint32_t depth_limit);
    ~Ingress();
    Ingress(const Ingress &) = delete;
    Ingress &operator=(const Ingress &) = delete;

    // Finds the structure of many lines at once, which saves most of the cost per line; the
    // following calls of `read_object` may be for lines of this text, from first to last.
    void prepare_lines(const char *text, size_t length);
    // The text of those lines may change from now on; its memory is used again for other records.
    void forget_lines();
    // Checks any JSON text; fills `problem` when it is malformed, or the check was told to stop.
    bool check(const char *text, size_t length, Problem &problem, StopFlag stop = nullptr);
    // Checks a JSON object and notes its members in `fields`.
    bool read_object(const char *text, size_t length, FieldList &fields, Problem &problem);

    // The names that the objects read lately had; `FieldList::shape` refers to it.
    Shape shape;

  private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation;
    bool find_structure(const char *text, size_t length, Problem &problem);
};

}  // namespace tidewheel
