// Which rows of a sink's buffer came of which record.
#pragma once
#include <string>
#include <vector>

#include "CScripting.h"

namespace tidewheel {

struct RowMarks {
    std::vector<tw_mark> marks;
    std::string names;
};

// The record in progress is final: notes where its rows end in each sink's buffer.
void note_marks(tw_vm *vm);

}  // namespace tidewheel
