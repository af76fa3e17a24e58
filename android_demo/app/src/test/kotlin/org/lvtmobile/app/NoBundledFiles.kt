package org.lvtmobile.app

import java.io.File

/** An app without artifacts in its assets. */
internal object NoBundledFiles : BundledFiles {
    override fun paths(): List<String> = emptyList()

    override fun readText(path: String): String = error("there are no bundled files")

    override fun copy(path: String, to: File) = error("there are no bundled files")
}
