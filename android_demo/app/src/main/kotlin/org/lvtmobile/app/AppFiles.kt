package org.lvtmobile.app

import android.content.Context
import android.content.res.AssetManager
import java.io.File

private const val MODELS = "models"

/** The artifacts in the app's assets. */
class AssetFiles(private val assets: AssetManager) : Packaged {
    override fun names(): List<String> = assets.list(MODELS).orEmpty().toList()

    override fun text(name: String): String = assets.open("$MODELS/$name").use { it.reader().readText() }

    override fun copy(name: String, to: File) {
        assets.open("$MODELS/$name").use { source -> to.outputStream().use(source::copyTo) }
    }
}

/** Folders for artifacts: the one that `adb push` reaches, where the device has it, and the app's own. */
fun Context.modelFolders(): List<File> = listOfNotNull(getExternalFilesDir(MODELS), File(filesDir, MODELS))

/** Everything the user can choose. */
fun Context.shelf(): Shelf = Shelf(modelFolders(), AssetFiles(assets), File(noBackupFilesDir, MODELS))
