// The compiled part of Boost.URL, once for the whole program.
#include <boost/url/src.hpp>
